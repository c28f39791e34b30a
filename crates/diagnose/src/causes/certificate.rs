//! Certificate: what a server shows is not valid, most often because it has expired, so nobody
//! trusts it and no connection comes about.
//!
//! Told by a probe whose own check of the certificate fails, or by callers: clients of all kinds
//! name that failure. The words are those of rustls, OpenSSL, Node, Go, Java, Python and .NET.

use model::incident::EvidenceKind;
use model::{CauseKind, Entity};

use super::{Spec, add_leads};
use crate::figures::Sum;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Certificate,
    title: "Certificate refused",
    documentation: "A probe, or those who call, refuse the certificate that is shown: it has \
                    expired, or is none that they trust.",
    propose,
};

/// Parts of names and messages, in lower case.
const WORDS: &[&str] = &[
    "cert_has_expired",
    "certificate",
    "cert_verification",
    "certverification",
    "x509",
    "sslhandshake",
    "authenticationexception",
];
/// Share of the failures that have to say so.
const SHARE_MIN: f64 = 0.5;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let nodes = trouble.reached.iter();
    nodes.filter_map(|(node, reached)| candidate(trouble, node, reached)).collect()
}

fn candidate(trouble: &Trouble, node: &Entity, reached: &Reached) -> Option<Candidate> {
    let mut candidate = Candidate::new(CauseKind::Certificate, node, node, trouble.window.onset);
    for lead in &reached.leads {
        let refused = refused(&lead.during);
        if refused > 0.0 && refused >= SHARE_MIN * lead.during.errors {
            let words = format!(
                "{} of {} failed calls from {} refuse its certificate ({})",
                wording::number(refused),
                wording::number(lead.during.errors),
                lead.caller,
                wording::error_kinds(&lead.during)
            );
            let at = lead.during.first_error_at.unwrap_or(lead.since);
            candidate.line(Part::CertificateRefused, EvidenceKind::Calls, at, words);
        }
    }
    for (name, probe) in &trouble.known.probes {
        let (Some(since), Some(error)) = (probe.failing_since, &probe.last.error) else { continue };
        if trouble.known.topology.node(&probe.last.entity) == *node && is_refusal(error) {
            let words = format!("probe {name} refuses it since {}: {error}", since.clock());
            candidate.line(Part::CertificateRefused, EvidenceKind::Probe, since, words);
            candidate.onset = candidate.onset.min(since);
        }
    }
    if !candidate.has(Part::CertificateRefused) {
        return None;
    }
    add_leads(&mut candidate, trouble, node, reached);
    candidate.summary = format!("the certificate of {node} is refused");
    Some(candidate)
}

fn refused(calls: &Sum) -> f64 {
    calls.kinds.iter().filter(|(kind, _)| is_refusal(kind)).map(|(_, count)| count).sum()
}

fn is_refusal(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    WORDS.iter().any(|word| error.contains(word))
}

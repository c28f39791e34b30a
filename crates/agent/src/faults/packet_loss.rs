//! Packet loss: a share of the packets from and to a port, a peer or both is dropped, each by its
//! own random number, by rules that the keeper owns.

use std::time::Duration;

use model::experiment::Fault;
use model::fault::PacketLoss;

use super::nft::Rules;
use super::partition::{hold_rules, is_answered, ready, tried_at, words};
use super::{Aim, Effect, Means, Spec, mismatch};
use crate::bench::Bench;
use crate::clock;
use crate::config::Target;
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

/// The kernel sends the first packet of a connection again after a second: one that takes longer
/// than this has lost it, or its answer.
const LATE: Duration = Duration::from_millis(400);
const EFFECT_WITHIN: Duration = Duration::from_secs(20);
/// Connections that are tried at most, spread over that time.
const TRIES_MAX: u32 = 500;
const BETWEEN: Duration = Duration::from_millis(10);

pub const SPEC: Spec = Spec {
    id: "packet_loss",
    title: "Packet loss",
    documentation: "Drops `share` of the TCP and UDP packets of this host, in each direction, from \
                    and to `port`, `peer` or both. Refused when nobody answers there before. Its \
                    effect is seen by connections that are tried until one has lost a packet.",
    undone_by: "ending the process that owns the table of rules: the kernel removes it with its \
                owner, which also ends with the agent and at the deadline",
    example: "fault: {packet_loss: {port: 5432, share: 0.2}}\n",
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn rules(loss: &PacketLoss) -> Rules {
    Rules { port: loss.port, peer: loss.peer, share: Some(loss.share) }
}

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::PacketLoss(loss) = fault else { return mismatch() };
    let rules = rules(loss);
    let far = ready(bench, target, &rules)?;
    let percent = loss.share * 100.0;
    let exactly =
        format!("drops {percent} % of the packets from and to {}, seen at {far}", words(&rules));
    Ok(Aim { exactly, ..Aim::default() })
}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::PacketLoss(loss) = &record.fault else { return mismatch() };
    hold_rules(record, &rules(loss))
}

fn effect(_: &Bench, record: &FaultRecord) -> Effect {
    let Fault::PacketLoss(loss) = &record.fault else {
        return Effect { at: None, detail: "not this kind of fault".to_owned() };
    };
    let far = tried_at(record, &rules(loss));
    let until = clock::monotonic() + EFFECT_WITHIN;
    let mut tries = 0;
    while tries < TRIES_MAX && clock::monotonic() < until {
        tries += 1;
        if !is_answered(far, LATE) {
            let detail = format!("of {tries} connections to {far} one lost a packet");
            return Effect { at: Some(clock::now()), detail };
        }
        clock::pause(BETWEEN);
    }
    Effect {
        at: None,
        detail: format!("all of {tries} connections to {far} were answered at once"),
    }
}

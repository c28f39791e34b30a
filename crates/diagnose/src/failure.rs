//! What a failed call's kind tells of the callee: nobody there, or somebody who answers badly.
//!
//! Kinds come as text from many SDKs (`error.type`, status codes, exception names); they are
//! recognised by parts of words. What is not recognised counts as an answer, so that an unknown
//! word never makes a crash.

use crate::figures::Sum;

/// Parts of names of failures in which the callee did not answer itself.
const NO_ANSWER: &[&str] = &[
    "refused",
    "timeout",
    "timed_out",
    "timedout",
    "timed out",
    "deadline",
    "reset",
    "unreachable",
    "unavailable",
    "connect",
    "econn",
    "epipe",
    "broken_pipe",
    "broken pipe",
    "brokenpipe",
    "hang up",
    "hangup",
    "socket",
    "enotfound",
    "eai_again",
    "name_resolution",
    "operationalerror",
    "interfaceerror",
    "aggregateerror",
    "closed",
];

/// Whole words and codes of the same meaning: HTTP of a proxy, gRPC, SQLSTATE.
const NO_ANSWER_CODES: &[&str] = &[
    "502", "503", "504", "4", "14", "57p01", "57p02", "57p03", "08000", "08001", "08003", "08004",
    "08006", "dns", "eof", "network",
];

/// Failures of a server that is alive.
const SERVER_ERROR_CODES: &[&str] = &[
    "500",
    "501",
    "505",
    "507",
    "508",
    "2",
    "13",
    "15",
    "internal",
    "unknown",
    "data_loss",
    "loss",
];

/// Parts of names, and classes of SQLSTATE, of failures of a database that is alive: it is full,
/// locked, out of something, or broken. All others are refusals of what it was asked.
const DATABASE_ERRORS: &[&str] = &[
    "lock",
    "busy",
    "cancel",
    "full",
    "insufficient",
    "memory",
    "malfunction",
    "iofailure",
    "ioerr",
    "corrupt",
    "readonly",
    "cannotopen",
    "aborted",
    "interrupted",
    "internalerror",
    "toomany",
];
const DATABASE_STATE_CLASSES: &[&str] = &["40", "53", "55", "57", "58", "xx"];
const SQLSTATE_CHARS: usize = 5;

/// Failures by which a server refuses what it cannot take now: HTTP 503 and 429, and gRPC's
/// `UNAVAILABLE` and `RESOURCE_EXHAUSTED`.
const REFUSALS: &[&str] = &["unavailable", "exhausted", "overload"];
const REFUSAL_CODES: &[&str] = &["503", "429"];

/// Failures of calls that were given up: HTTP 504, gRPC's `DEADLINE_EXCEEDED`, and by name.
const TIMEOUTS: &[&str] = &["timeout", "timed_out", "timedout", "timed out", "deadline"];
const TIMEOUT_CODES: &[&str] = &["504", "4"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Most failures are of calls that nobody answered.
    None,
    /// Most are a server's own errors.
    ServerError,
    /// Most are other answers, or their kinds are not known.
    Other,
    /// Nothing is known of their kinds.
    Untold,
}

/// What most of the failures in `sum` are, with their number and that of all with a kind.
pub fn answer(sum: &Sum, by_database: bool) -> (Answer, f64, f64) {
    let (mut none, mut server_error, mut all) = (0.0, 0.0, 0.0);
    for (kind, count) in &sum.kinds {
        all += count;
        let kind = kind.to_ascii_lowercase();
        let has_code = |codes: &[&str]| has_code(&kind, codes);
        if NO_ANSWER.iter().any(|part| kind.contains(part)) || has_code(NO_ANSWER_CODES) {
            none += count;
        } else if by_database && is_database_error(&kind)
            || !by_database && has_code(SERVER_ERROR_CODES)
        {
            server_error += count;
        }
    }
    if all <= 0.0 {
        (Answer::Untold, 0.0, 0.0)
    } else if 2.0 * none >= all {
        (Answer::None, none, all)
    } else if 2.0 * (none + server_error) >= all {
        (Answer::ServerError, server_error, all)
    } else {
        (Answer::Other, all - none - server_error, all)
    }
}

/// Refusals among the failures that a server counted itself.
pub fn refusals(served: &Sum) -> f64 {
    let is_refusal = |kind: &str| {
        let kind = kind.to_ascii_lowercase();
        REFUSALS.iter().any(|part| kind.contains(part)) || has_code(&kind, REFUSAL_CODES)
    };
    served.kinds.iter().filter(|(kind, _)| is_refusal(kind)).map(|(_, count)| count).sum()
}

/// Did a server refuse most of what it was asked?
pub fn is_refused(served: &Sum) -> bool {
    2.0 * refusals(served) >= served.total && served.total > 0.0
}

/// Did most of the failed calls wait for an answer in vain? Who refuses a connection, or has no
/// name, does not hang.
pub fn is_waited_for(calls: &Sum) -> bool {
    let is_timeout = |kind: &str| {
        let kind = kind.to_ascii_lowercase();
        TIMEOUTS.iter().any(|part| kind.contains(part)) || has_code(&kind, TIMEOUT_CODES)
    };
    let (mut waited, mut all) = (0.0, 0.0);
    for (kind, count) in &calls.kinds {
        all += count;
        waited += if is_timeout(kind) { *count } else { 0.0 };
    }
    2.0 * waited >= all && all > 0.0
}

fn has_code(kind: &str, codes: &[&str]) -> bool {
    kind.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| codes.contains(&word))
}

/// `kind` is in lower case.
fn is_database_error(kind: &str) -> bool {
    let of_class = |class: &&str| kind.len() == SQLSTATE_CHARS && kind.starts_with(*class);
    DATABASE_ERRORS.iter().any(|part| kind.contains(part))
        || DATABASE_STATE_CLASSES.iter().any(of_class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_500_is_an_answer_and_a_502_is_none() {
        let check_of = |by_database: bool, kind: &str, expected: Answer| {
            let mut sum = Sum::default();
            sum.kinds.insert(kind.to_owned(), 5.0);
            assert_eq!(answer(&sum, by_database).0, expected, "{kind}");
        };
        let check = |kind, expected| check_of(false, kind, expected);
        check("connection_refused", Answer::None);
        check("ECONNREFUSED", Answer::None);
        check("http_502", Answer::None);
        check("grpc_UNAVAILABLE", Answer::None);
        check("redis.exceptions.ConnectionError", Answer::None);
        check("psycopg2.OperationalError", Answer::None);
        check("http_500", Answer::ServerError);
        check("grpc_INTERNAL", Answer::ServerError);
        check("UniqueViolation", Answer::Other);
        check("23502", Answer::Other);
        let check = |kind, expected| check_of(true, kind, expected);
        check("57P01", Answer::None);
        check("psycopg2.OperationalError", Answer::None);
        check("53100", Answer::ServerError);
        check("DiskFull", Answer::ServerError);
        check("psycopg2.errors.LockNotAvailable", Answer::ServerError);
        check("Unknown", Answer::Other);
        check("42703", Answer::Other);
        assert_eq!(answer(&Sum::default(), false).0, Answer::Untold);
    }
}

//! What programs of the host ask the resolver of a fault, and what its nameservers answer.
//!
//! A question that is read is answered so that the answer bears it, byte for byte, and reads as
//! what it was made to say.

use std::net::IpAddr;

use agent::dns::{self, Question};

use crate::{Answer, Form, Memory, Target};

pub const DNS: Target = Target {
    name: "dns",
    feeds: "a message of DNS: a query, then an answer",
    form: Form::Bytes,
    memory: Memory { base: 1 << 20, factor: 64 },
    caught: &[],
    run,
};

fn run(message: &[u8]) -> Answer {
    let v4 = Some(IpAddr::from([192, 0, 2, 1]));
    for id in [0, u16::from_be_bytes(message.first_chunk().copied().unwrap_or_default())] {
        let _ = dns::read_answer(id, message, v4);
    }
    let Some(question) = Question::read(message) else { return Answer::Refused };
    let id = u16::from_be_bytes(message.first_chunk().copied().expect("a header"));
    for (code, address) in [(dns::NXDOMAIN, None), (dns::NO_ERROR, v4)] {
        let answer = question.answer(message, code, address);
        let (said, has_address) = dns::read_answer(id, &answer, address).expect("an answer");
        assert_eq!(said, code);
        assert_eq!(has_address, address.is_some() && question.kind == 1);
        assert_eq!(Question::read(&answer), None, "an answer is no query");
        let mut query = answer.clone();
        query[2] &= 1;
        assert_eq!(Question::read(&query).as_ref(), Some(&question), "it bears the question");
    }
    if let Some(query) = dns::query(id, &question.name) {
        let again = Question::read(&query).expect("what was written is read");
        assert_eq!(again.name, question.name);
    }
    assert!(question.is_for(&question.name));
    Answer::Taken
}

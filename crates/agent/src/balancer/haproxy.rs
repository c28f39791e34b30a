//! HAProxy by its runtime API: one command a connection, as its management guide describes.
//!
//! Names of backend and server come from configuration, where they are held to letters, digits,
//! `-`, `_` and `.`: nothing in them can end one command and begin another.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Standing, Until};
use crate::config::{EjectTo, Haproxy};
use crate::socket::connect_within;

/// Bytes of an answer; a backend of thousands of servers needs less.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// A socket takes no timeout of zero.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// `srv_op_state`: it is up.
const RUNNING: u32 = 2;
/// Bits of `srv_admin_state` that the runtime API sets: maintenance and drain.
const FORCED: u32 = 0x01 | 0x08;

pub fn standing(haproxy: &Haproxy, server: &str, until: Until) -> Result<Standing, String> {
    let backend = &haproxy.backend;
    let answer = command(haproxy, &format!("show servers state {backend}"), until)?;
    read(&answer, server)?.ok_or_else(|| {
        format!("HAProxy knows no server {server} in backend {backend}: {}", first_line(&answer))
    })
}

/// Sets the state; an answer at all means that HAProxy would not.
pub fn set(haproxy: &Haproxy, server: &str, eject: bool, until: Until) -> Result<String, String> {
    let state = match (eject, haproxy.eject_to) {
        (false, _) => "ready",
        (true, EjectTo::Drain) => "drain",
        (true, EjectTo::Maint) => "maint",
    };
    let place = format!("{}/{server}", haproxy.backend);
    let answer = command(haproxy, &format!("set server {place} state {state}"), until)?;
    match answer.trim() {
        "" => Ok(format!("set {place} to {state}")),
        _ => Err(format!("HAProxy says: {}", first_line(&answer))),
    }
}

/// Reads `show servers state`: a version, a line of names, then one line a server.
fn read(answer: &str, server: &str) -> Result<Option<Standing>, String> {
    let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
    let Some(header) = lines.next() else { return Ok(None) };
    let names: Vec<&str> = header.trim_start_matches("# ").split_whitespace().collect();
    let column = |name: &str| {
        let found = names.iter().position(|known| *known == name);
        found.ok_or_else(|| format!("HAProxy tells no `{name}`; its version is not known here"))
    };
    let name_at = column("srv_name")?;
    let (state_at, admin_at) = (column("srv_op_state")?, column("srv_admin_state")?);
    let weight_at = column("srv_uweight")?;
    let (mut is_ejected, mut others) = (None, 0);
    for line in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
        let Some(name) = fields.get(name_at) else { continue };
        let (state, admin, weight) = (number(state_at), number(admin_at), number(weight_at));
        let (Some(state), Some(admin), Some(weight)) = (state, admin, weight) else {
            return Err(format!("HAProxy tells of {name} what cannot be read"));
        };
        if *name == server {
            is_ejected = Some(admin & FORCED != 0);
        } else if state == RUNNING && admin == 0 && weight > 0 {
            others += 1;
        }
    }
    Ok(is_ejected.map(|is_ejected| Standing { is_ejected, others }))
}

fn command(haproxy: &Haproxy, line: &str, until: Until) -> Result<String, String> {
    let wait = until.left().max(WAIT_MIN);
    let asked = match (&haproxy.socket, &haproxy.address) {
        (Some(socket), _) => connect_within(socket, wait).and_then(|stream| {
            stream.set_read_timeout(Some(wait))?;
            stream.set_write_timeout(Some(wait))?;
            exchange(stream, line, until)
        }),
        (None, Some(address)) => TcpStream::connect_timeout(address, wait).and_then(|stream| {
            stream.set_read_timeout(Some(wait))?;
            stream.set_write_timeout(Some(wait))?;
            exchange(stream, line, until)
        }),
        (None, None) => return Err("no runtime API is declared".to_owned()),
    };
    asked.map_err(|error| format!("HAProxy's runtime API: {error}"))
}

fn exchange(mut stream: impl Read + Write, line: &str, until: Until) -> std::io::Result<String> {
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut bytes = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut bytes)?;
        answer.extend_from_slice(&bytes[..length]);
        if length == 0 {
            return Ok(String::from_utf8_lossy(&answer).into_owned());
        }
        if answer.len() > ANSWER_MAX || until.left().is_zero() {
            return Err(std::io::Error::other("its answer does not end"));
        }
    }
}

fn first_line(answer: &str) -> String {
    crate::lifecycle::quote(answer.trim().lines().next().unwrap_or_default().as_bytes())
        .unwrap_or_else(|| "nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
3 pay 1 pay-1 127.0.0.1 2 0 1 1
3 pay 2 pay-2 127.0.0.1 2 0 1 1
3 pay 3 pay-3 127.0.0.1 0 0 1 1
3 pay 4 pay-4 127.0.0.1 2 8 1 1
3 pay 5 pay-5 127.0.0.1 2 0 0 1
";

    #[test]
    fn counts_others_that_are_up_and_not_taken_out_and_have_a_weight() {
        let standing = |server| read(STATE, server).unwrap();
        assert_eq!(standing("pay-1"), Some(Standing { is_ejected: false, others: 1 }));
        assert_eq!(standing("pay-3"), Some(Standing { is_ejected: false, others: 2 }));
        assert_eq!(standing("pay-4"), Some(Standing { is_ejected: true, others: 2 }));
        assert_eq!(standing("pay-9"), None);
    }

    #[test]
    fn an_answer_that_is_not_understood_is_never_a_standing() {
        assert_eq!(read("Can't find backend.\n\n", "pay-1"), Ok(None));
        assert!(read(&STATE.replace("srv_uweight", "weight"), "pay-1").is_err());
        assert!(read(&STATE.replace(" 2 0 1 1", " 2 x 1 1"), "pay-1").is_err());
    }
}

//! Old and new names of the same attribute, in one table.
//!
//! Semantic conventions renamed nearly every attribute at least once, and instrumentation of
//! every age is in use, often both at once. `Facts::read` goes over the attributes of a span or
//! metric point once and keeps, for each thing that observing needs, the value under the newest
//! name that is present.
//!
//! Sources: OpenTelemetry semantic conventions 1.44 and their migration guides (HTTP:
//! `http/migration-guide`, databases: `db/migration-guide`, RPC: `rpc/migration-guide`), the
//! deprecated registries of `net.*`, `http.*`, `db.*`, `messaging.*`; samplers: OpenTelemetry
//! collector `probabilisticsampler` processor (`sampling.randomness` is no rate and not read),
//! Honeycomb's `SampleRate`, Azure Monitor's `microsoft.sample_rate` (percent).

use model::signal::{AnyValue, Attributes};

/// What an attribute tells, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    HttpMethod,
    HttpStatus,
    Route,
    /// Path without query.
    Path,
    /// Full address of what is called.
    Url,
    /// Logical address of the side that serves: the peer on client spans.
    ServerAddress,
    ServerPort,
    /// Address of the other end of the socket.
    SocketAddress,
    SocketPort,
    PeerService,
    DbSystem,
    DbNamespace,
    /// Present when a statement or operation was sent, not a mere connect.
    DbOperation,
    MessagingSystem,
    MessagingDestination,
    MessagingOperation,
    RpcSystem,
    RpcService,
    RpcMethod,
    RpcStatus,
    ErrorType,
    ErrorMessage,
    Synthetic,
    /// One in so many was kept.
    SampledOneIn,
    /// Share kept, 0–1.
    SampledShare,
    /// Share kept, in percent.
    SampledPercent,
}

const FIELDS: usize = Field::SampledPercent as usize + 1;

/// (name, what it tells, age): of several names that are present the one of least age counts.
/// Sorted by name.
pub(crate) const TABLE: &[(&str, Field, u8)] = &[
    ("SampleRate", Field::SampledOneIn, 1),
    ("_MS.sampleRate", Field::SampledPercent, 1),
    ("db.name", Field::DbNamespace, 1),
    ("db.namespace", Field::DbNamespace, 0),
    ("db.operation", Field::DbOperation, 1),
    ("db.operation.name", Field::DbOperation, 0),
    ("db.query.summary", Field::DbOperation, 2),
    ("db.query.text", Field::DbOperation, 3),
    ("db.statement", Field::DbOperation, 4),
    ("db.system", Field::DbSystem, 1),
    ("db.system.name", Field::DbSystem, 0),
    ("error.message", Field::ErrorMessage, 0),
    ("error.type", Field::ErrorType, 0),
    ("exception.message", Field::ErrorMessage, 1),
    ("exception.type", Field::ErrorType, 1),
    ("http.host", Field::ServerAddress, 3),
    ("http.method", Field::HttpMethod, 1),
    ("http.request.method", Field::HttpMethod, 0),
    ("http.response.status_code", Field::HttpStatus, 0),
    ("http.route", Field::Route, 0),
    ("http.status_code", Field::HttpStatus, 1),
    ("http.target", Field::Path, 1),
    ("http.url", Field::Url, 1),
    ("message_bus.destination", Field::MessagingDestination, 4),
    ("messaging.destination", Field::MessagingDestination, 3),
    ("messaging.destination.name", Field::MessagingDestination, 1),
    ("messaging.destination.template", Field::MessagingDestination, 0),
    ("messaging.kafka.topic", Field::MessagingDestination, 2),
    ("messaging.operation", Field::MessagingOperation, 1),
    ("messaging.operation.name", Field::MessagingOperation, 2),
    ("messaging.operation.type", Field::MessagingOperation, 0),
    ("messaging.system", Field::MessagingSystem, 0),
    ("microsoft.sample_rate", Field::SampledPercent, 0),
    ("net.peer.ip", Field::SocketAddress, 2),
    ("net.peer.name", Field::ServerAddress, 1),
    ("net.peer.port", Field::ServerPort, 1),
    ("net.sock.peer.addr", Field::SocketAddress, 1),
    ("net.sock.peer.name", Field::ServerAddress, 2),
    ("net.sock.peer.port", Field::SocketPort, 1),
    ("network.peer.address", Field::SocketAddress, 0),
    ("network.peer.port", Field::SocketPort, 0),
    ("peer.service", Field::PeerService, 1),
    ("rpc.connect_rpc.error_code", Field::RpcStatus, 2),
    ("rpc.grpc.status_code", Field::RpcStatus, 1),
    ("rpc.method", Field::RpcMethod, 0),
    ("rpc.response.status_code", Field::RpcStatus, 0),
    ("rpc.service", Field::RpcService, 0),
    ("rpc.system", Field::RpcSystem, 1),
    ("rpc.system.name", Field::RpcSystem, 0),
    ("sampleRate", Field::SampledOneIn, 2),
    ("sampling.probability", Field::SampledShare, 0),
    ("sampling.rate", Field::SampledOneIn, 0),
    ("server.address", Field::ServerAddress, 0),
    ("server.port", Field::ServerPort, 0),
    ("service.peer.name", Field::PeerService, 0),
    ("url.full", Field::Url, 0),
    ("url.path", Field::Path, 0),
    ("user_agent.synthetic.type", Field::Synthetic, 0),
];

/// Places in `TABLE` by a hash of the name, with gaps: most attributes are none of these, and are
/// told so by a gap.
static SLOTS: [u8; SLOT_COUNT] = {
    let mut slots = [GAP; SLOT_COUNT];
    let mut at = 0;
    while at < TABLE.len() {
        let mut slot = slot(TABLE[at].0.as_bytes());
        while slots[slot] != GAP {
            slot = (slot + 1) % SLOT_COUNT;
        }
        slots[slot] = at as u8;
        at += 1;
    }
    slots
};

const SLOT_COUNT: usize = 256;
const GAP: u8 = u8::MAX;

/// Where the search for a name begins: by its length and four of its bytes.
const fn slot(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let third = name[length / 3] as u32;
    let (middle, late) = (name[length / 2] as u32, name[length - length / 5 - 1] as u32);
    let word = third << 24 | middle << 16 | late << 8 | name[length - 1] as u32;
    ((word ^ length as u32).wrapping_mul(0x9e37_79b1) >> 24) as usize
}

fn find(name: &str) -> Option<(Field, u8)> {
    let mut at = slot(name.as_bytes());
    while SLOTS[at] != GAP {
        let (known, field, age) = TABLE[usize::from(SLOTS[at])];
        if known == name {
            return Some((field, age));
        }
        at = (at + 1) % SLOT_COUNT;
    }
    None
}

/// What one item's attributes tell, by newest name.
pub(crate) struct Facts<'a> {
    values: [Option<(u8, &'a AnyValue)>; FIELDS],
}

impl<'a> Facts<'a> {
    pub(crate) fn read(attributes: &'a Attributes) -> Self {
        let mut values = [None; FIELDS];
        for (name, value) in &attributes.0 {
            let Some((field, age)) = find(name) else { continue };
            let slot: &mut Option<(u8, &'a AnyValue)> = &mut values[field as usize];
            let says_something = match value {
                AnyValue::Empty => false,
                AnyValue::String(text) => !text.is_empty(),
                _ => true,
            };
            if says_something && slot.is_none_or(|(held, _)| age < held) {
                *slot = Some((age, value));
            }
        }
        Facts { values }
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.values[field as usize].is_some()
    }

    pub(crate) fn value(&self, field: Field) -> Option<&'a AnyValue> {
        self.values[field as usize].map(|(_, value)| value)
    }

    pub(crate) fn text(&self, field: Field) -> Option<&'a str> {
        self.value(field).and_then(AnyValue::as_str)
    }

    pub(crate) fn number(&self, field: Field) -> Option<f64> {
        match self.value(field)? {
            AnyValue::Int(number) => Some(*number as f64),
            AnyValue::Double(number) => Some(*number),
            AnyValue::String(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number| number.is_finite())
    }

    /// A port, where it is one.
    pub(crate) fn port(&self, field: Field) -> Option<u16> {
        let port = self.value(field)?.as_i64()?;
        u16::try_from(port).ok().filter(|port| *port > 0)
    }

    /// The HTTP status code, where it is one. `error.type` holds it for some clients that failed
    /// on it.
    pub(crate) fn http_status(&self) -> Option<u16> {
        let code = self.value(Field::HttpStatus)?.as_i64()?;
        u16::try_from(code).ok().filter(|code| (100..=599).contains(code))
    }

    /// `GET`, or `_OTHER` for what the HTTP specifications do not know, as the conventions say.
    pub(crate) fn http_method(&self) -> Option<&'static str> {
        let method = self.text(Field::HttpMethod)?;
        const KNOWN: &[&str] = &[
            "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "QUERY", "CONNECT", "TRACE",
        ];
        let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(method));
        Some(known.copied().unwrap_or("_OTHER"))
    }

    /// The requested path without its query.
    pub(crate) fn path(&self) -> Option<&'a str> {
        let path = match self.text(Field::Path) {
            Some(path) => path,
            None => split_url(self.text(Field::Url)?)?.2,
        };
        Some(path.split(['?', '#']).next().unwrap_or(path))
    }
}

/// Parts of a URL: (host, port, path). The port is that of the scheme where none is written.
pub(crate) fn split_url(url: &str) -> Option<(&str, Option<u16>, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // Never let credentials become part of a name.
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_host_port(authority);
    if host.is_empty() {
        return None;
    }
    let default = match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    };
    Some((host, port.or(default), if path.is_empty() { "/" } else { path }))
}

/// `host`, `host:port`, `[v6]:port`; a bare IPv6 address has no port.
pub(crate) fn split_host_port(authority: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match authority.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_nothing_twice_and_each_name_is_found() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (name, field, age) in TABLE {
            assert_eq!(find(name), Some((*field, *age)));
            assert_eq!(find(&format!("{name}x")), None);
        }
        assert_eq!((find(""), find("db")), (None, None));
        assert!(TABLE.len() < SLOT_COUNT / 2, "a search ends at a gap");
    }

    #[test]
    fn a_new_name_wins_over_an_old_one_in_any_order() {
        let new = ("http.response.status_code", AnyValue::Int(200));
        let old = ("http.status_code", AnyValue::String("503".into()));
        for pair in [[&new, &old], [&old, &new]] {
            let mut attributes = Attributes::default();
            pair.iter().for_each(|(name, value)| attributes.push(name, value.clone()));
            assert_eq!(Facts::read(&attributes).http_status(), Some(200));
        }
        let attributes = Attributes::default().with_str("http.status_code", "503");
        assert_eq!(Facts::read(&attributes).http_status(), Some(503));
    }

    #[test]
    fn an_empty_new_name_does_not_hide_an_old_one() {
        let attributes =
            Attributes::default().with_str("db.namespace", "").with_str("db.name", "shop");
        assert_eq!(Facts::read(&attributes).text(Field::DbNamespace), Some("shop"));
    }

    #[test]
    fn takes_urls_apart() {
        let check = |url, expected| assert_eq!(split_url(url), expected, "{url}");
        check("http://127.0.0.1:5001/a?b", Some(("127.0.0.1", Some(5001), "/a?b")));
        check("https://user:pass@shop.example", Some(("shop.example", Some(443), "/")));
        check("http://[::1]:80/x", Some(("::1", Some(80), "/x")));
        check("unix:///tmp/x", None);
        check("nothing", None);
        assert_eq!(split_host_port("::1"), ("::1", None));
        assert_eq!(split_host_port("orders:80"), ("orders", Some(80)));
    }
}

//! The stream of what happens: the first word, each line once, taking up again, the end.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::Lab;

/// One event as it came.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: Option<u64>,
    data: Value,
}

struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(lab: &Lab, last: Option<u64>) -> Stream {
        let mut stream = TcpStream::connect(lab.api()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /api/v1/stream HTTP/1.0\r\nhost: {}\r\n{last}\r\n", lab.api());
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = Stream(BufReader::new(stream));
        assert!(stream.line().unwrap().contains(" 200 "));
        while !stream.line().unwrap().is_empty() {}
        stream
    }

    /// `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => event.id = Some(id.parse().unwrap()),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    }

    /// The next of that name, whatever comes before it.
    fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}

fn pause(lab: &Lab, name: &str) {
    let body = json!({ "name": name, "what": "all", "for": "1h" });
    assert_eq!(lab.post("pauses", Some(body)).status, 200);
}

#[test]
fn a_stream_begins_with_how_things_are_and_tells_each_line_once() {
    let mut lab = Lab::new();
    lab.start();
    pause(&lab, "before");
    let mut stream = Stream::open(&lab, None);
    let first = stream.next().unwrap();
    assert_eq!((first.name.as_str(), &first.data["version"]), ("status", &json!("0.1.0")));
    assert_eq!(first.data["pauses"][0]["name"], "before");
    pause(&lab, "after");
    let told = stream.named("journal");
    assert_eq!(told.data["command"]["pause"]["name"], "after", "{:#}", told.data);
    assert_eq!(told.id, told.data["seq"].as_u64());
    assert_eq!(stream.named("status").data["pauses"][1]["name"], "after");
    assert!(lab.events().contains(&told.data), "it is the line as the journal has it");
    lab.stop_server();
    while stream.next().is_some() {}
}

#[test]
fn who_was_cut_off_is_told_what_was_missed_or_that_it_is_too_much() {
    let mut lab = Lab::new();
    lab.start();
    (0..3).for_each(|number| pause(&lab, &format!("number-{number}")));
    let all: Vec<u64> = lab.events().iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    let known = all[all.len() - 3];
    let mut stream = Stream::open(&lab, Some(known));
    let told: Vec<u64> = (0..2).map(|_| stream.named("journal").id.unwrap()).collect();
    assert_eq!(told, all[all.len() - 2..]);
    let mut stranger = Stream::open(&lab, Some(1_000_000));
    assert_eq!(stranger.next().unwrap().name, "status");
    assert_eq!(stranger.next().unwrap().name, "reset");
    pause(&lab, "later");
    assert_eq!(stranger.named("journal").data["command"]["pause"]["name"], "later");
    let headers = [("last-event-id", "a word")];
    let refused = crate::http::request(lab.api(), "GET", "/api/v1/stream", &headers, None);
    assert_eq!(refused.unwrap().status, 400);
}

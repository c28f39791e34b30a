//! HTTP requests to a real listener, which answers as it is told and keeps what it was asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use agent::config::{Request, Verb};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::{Action, ActionKind};

use crate::lab::Lab;

struct Peer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Gives these answers, one a connection; an empty one is never given.
    fn answering(answers: &[&str]) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers) = (asked.clone(), answers.iter().map(|a| (*a).to_owned()));
        let answers: Vec<String> = answers.collect();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).unwrap();
                kept.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                stream.write_all(answer.as_bytes()).unwrap();
                if answer.is_empty() {
                    open.push(stream);
                }
            }
            drop(listener);
            std::thread::park();
        });
        Peer { address, asked }
    }

    fn request(&self, path: &str) -> Request {
        Request {
            method: Verb::Put,
            url: format!("http://{}{path}", self.address),
            remote: false,
            headers: [("authorization".to_owned(), "Bearer secret".to_owned())].into(),
            body: "{\"on\":false}".to_owned(),
            status: Vec::new(),
            timeout: HumanDuration::from_millis(800),
            undo: None,
        }
    }
}

fn order(lab: &Lab, id: &str, request: &str) -> Action {
    let kind = ActionKind::HttpRequest { request: request.to_owned() };
    lab.action(id, kind, Expectation::NoProcess)
}

#[tokio::test]
async fn a_declared_request_is_made_as_declared_and_its_answer_decides() {
    let peer = Peer::answering(&[
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 409 Conflict\r\ncontent-length: 9\r\n\r\nis locked",
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n",
        "",
    ]);
    let mut lab = Lab::new();
    lab.target.process = None;
    lab.target.restart = None;
    let patient = Request { status: vec![200, 409], ..peer.request("/flags/new") };
    lab.target.requests =
        [("dark".to_owned(), peer.request("/flags/new?x=1")), ("any".to_owned(), patient)].into();
    lab.start_agent();
    let mut server = lab.server().await;
    let answers = [
        ("dark", OutcomeResult::Done, "answered 204"),
        ("dark", OutcomeResult::Failed, "answered 409: is locked"),
        ("dark", OutcomeResult::Failed, "answered 302"),
        ("any", OutcomeResult::Done, "answered 409"),
        ("dark", OutcomeResult::Failed, "no answer"),
        ("dark", OutcomeResult::Failed, "cannot connect: Connection refused"),
        ("other", OutcomeResult::Refused, "declares no such action: request other"),
    ];
    for (index, (request, result, detail)) in answers.into_iter().enumerate() {
        let id = format!("a-{index}");
        let (was, said) = server.perform(order(&lab, &id, request)).await;
        assert_eq!(was, result, "{id}: {said}");
        assert!(said.contains(detail) && !said.contains("secret"), "{id}: {said}");
    }
    let asked = peer.asked.lock().unwrap();
    assert_eq!(asked.len(), 5, "no redirect is followed");
    assert!(asked[0].starts_with("PUT /flags/new?x=1 HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].contains("authorization: Bearer secret\r\n"), "{}", asked[0]);
    assert!(asked[0].ends_with("\r\n\r\n{\"on\":false}"), "{}", asked[0]);
}

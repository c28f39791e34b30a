//! A receiver of notifications that answers as it is told and keeps what it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

#[derive(Clone)]
pub struct Webhook {
    pub address: SocketAddr,
    status: Arc<AtomicU16>,
    got: Arc<Mutex<Vec<Got>>>,
}

/// One notification.
#[derive(Clone, Debug)]
pub struct Got {
    pub answered: u16,
    pub authorization: Option<String>,
    pub message: Value,
}

impl Webhook {
    /// Listens until the test ends.
    pub fn answering(status: u16) -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let webhook = Webhook {
            address: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(status)),
            got: Arc::default(),
        };
        let serving = webhook.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One after another: the order of arrival is part of what is tested.
                let _ = serving.serve(stream);
            }
        });
        webhook
    }

    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// What was answered with this status.
    pub fn got(&self, answered: u16) -> Vec<Got> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|got| got.answered == answered).cloned().collect()
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut reader = BufReader::new(stream);
        let (mut length, mut authorization) = (0, None);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => authorization = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answered = self.status.load(Ordering::Relaxed);
        let message = serde_json::from_slice(&body).unwrap_or(Value::Null);
        self.got.lock().unwrap().push(Got { answered, authorization, message });
        let answer =
            format!("HTTP/1.1 {answered} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        reader.into_inner().write_all(answer.as_bytes())
    }
}

//! A capture on disk: a file for each export request, and a list of them.
//!
//! ```text
//! NNNNN-PROTOCOL-SIGNAL.pb   the request's body: protobuf, decompressed, without a gRPC frame
//! index.jsonl                {"file", "received_unix_nano", "protocol", "signal", "bytes"} a line
//! ```
//!
//! `protocol` is `http` or `grpc`, `signal` is `traces`, `metrics` or `logs`; lines are in the
//! order of arrival, and may bear more. A listed file that is missing is an error, an unlisted one
//! is not looked at.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model::signal::Signal;
use serde::{Deserialize, Serialize};

const INDEX: &str = "index.jsonl";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    Grpc,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Grpc => "grpc",
        }
    }
}

/// One captured request.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    pub protocol: Protocol,
    pub signal: Signal,
    pub received_unix_nano: u64,
    pub body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    file: String,
    received_unix_nano: u64,
    protocol: Protocol,
    signal: Signal,
    bytes: usize,
}

/// Reads all requests of the given signals, in the order of arrival.
pub fn read(folder: &Path, signals: &[Signal]) -> Result<Vec<Captured>> {
    let index = folder.join(INDEX);
    let text = std::fs::read_to_string(&index)
        .with_context(|| format!("{} is no capture: cannot read {INDEX}", folder.display()))?;
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line)
            .with_context(|| format!("{}:{}", index.display(), number + 1))?;
        if !signals.contains(&line.signal) {
            continue;
        }
        let path = folder.join(&line.file);
        let body = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        let Line { received_unix_nano, protocol, signal, .. } = line;
        all.push(Captured { protocol, signal, received_unix_nano, body });
    }
    all.sort_by_key(|captured| captured.received_unix_nano);
    Ok(all)
}

/// Writes a capture, one request after the other.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    index: File,
    count: usize,
    bytes: u64,
}

impl Writer {
    /// `folder` must be empty or not there.
    pub fn create(folder: &Path) -> Result<Writer> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let is_empty = std::fs::read_dir(folder)?.next().is_none();
        ensure!(is_empty, "{} is not empty; choose another folder", folder.display());
        let index = File::create(folder.join(INDEX))?;
        Ok(Writer { folder: folder.to_owned(), index, count: 0, bytes: 0 })
    }

    pub fn add(&mut self, captured: &Captured) -> Result<()> {
        let Captured { protocol, signal, received_unix_nano, body } = captured;
        self.count += 1;
        self.bytes += body.len() as u64;
        let file = format!("{:05}-{}-{}.pb", self.count, protocol.as_str(), signal.as_str());
        std::fs::write(self.folder.join(&file), body)?;
        let line = Line {
            file,
            received_unix_nano: *received_unix_nano,
            protocol: *protocol,
            signal: *signal,
            bytes: body.len(),
        };
        let line = serde_json::to_string(&line)?;
        writeln!(self.index, "{line}").context("cannot write the index of the capture")
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_reads_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let all = [
            (Protocol::Http, Signal::Traces, 5, b"abc".to_vec()),
            (Protocol::Grpc, Signal::Logs, 9, b"".to_vec()),
        ]
        .map(|(protocol, signal, received_unix_nano, body)| Captured {
            protocol,
            signal,
            received_unix_nano,
            body,
        });
        let mut writer = Writer::create(&folder.path().join("capture")).unwrap();
        all.iter().for_each(|captured| writer.add(captured).unwrap());
        assert_eq!((writer.count(), writer.bytes()), (2, 3));
        let path = folder.path().join("capture");
        assert_eq!(read(&path, Signal::ALL).unwrap(), all);
        assert_eq!(read(&path, &[Signal::Logs]).unwrap(), all[1..]);
        assert!(Writer::create(&path).is_err());
    }
}

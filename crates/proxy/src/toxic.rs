//! Toxics as users name them: type, attributes, stream, toxicity; and their JSON, which is
//! Toxiproxy's.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::json::Object;

/// The direction that a toxic works in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// From the client to the upstream.
    Upstream,
    /// From the upstream to the client.
    Downstream,
}

/// A toxic of a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Toxic {
    /// Never used twice; survives updates.
    pub id: u64,
    pub name: String,
    pub stream: Stream,
    /// The stream as it was given: letters may be capital.
    stream_name: String,
    /// The share of connections that it acts upon, 0–1.
    pub toxicity: f32,
    pub kind: Kind,
}

/// What a toxic does, with its attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Noop,
    Latency(Latency),
    Bandwidth(Bandwidth),
    SlowClose(SlowClose),
    Timeout(Timeout),
    ResetPeer(ResetPeer),
    Slicer(Slicer),
    LimitData(LimitData),
    PacketLoss(PacketLoss),
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    pub latency: i64,
    pub jitter: i64,
}

/// Thousands of bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bandwidth {
    pub rate: i64,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlowClose {
    pub delay: i64,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeout {
    pub timeout: i64,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResetPeer {
    pub timeout: i64,
}

/// Bytes, bytes, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Slicer {
    pub average_size: i64,
    pub size_variation: i64,
    pub delay: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitData {
    pub bytes: i64,
}

/// Probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PacketLoss {
    #[serde(serialize_with = "shortest")]
    pub loss_rate: f64,
    #[serde(serialize_with = "shortest")]
    pub correlation: f64,
}

/// Each type with its attributes' defaults.
pub const KINDS: &[(&str, Kind)] = &[
    ("noop", Kind::Noop),
    ("latency", Kind::Latency(Latency { latency: 0, jitter: 0 })),
    ("bandwidth", Kind::Bandwidth(Bandwidth { rate: 0 })),
    ("slow_close", Kind::SlowClose(SlowClose { delay: 0 })),
    ("timeout", Kind::Timeout(Timeout { timeout: 0 })),
    ("reset_peer", Kind::ResetPeer(ResetPeer { timeout: 0 })),
    ("slicer", Kind::Slicer(Slicer { average_size: 0, size_variation: 0, delay: 0 })),
    ("limit_data", Kind::LimitData(LimitData { bytes: 0 })),
    ("packet_loss", Kind::PacketLoss(PacketLoss { loss_rate: 0.0, correlation: 0.0 })),
];

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Upstream => "upstream",
            Stream::Downstream => "downstream",
        }
    }

    fn parse(text: &str) -> Option<Stream> {
        let all = [Stream::Upstream, Stream::Downstream];
        all.into_iter().find(|stream| text.eq_ignore_ascii_case(stream.as_str()))
    }
}

impl Toxic {
    /// Reads a toxic to be added.
    pub fn read(id: u64, body: &Object) -> Result<Toxic, Error> {
        let bad = Error::bad_request_body;
        let name = body.string("name").map_err(bad)?.unwrap_or_default();
        let kind = body.string("type").map_err(bad)?.unwrap_or_default();
        let stream_name = body.string("stream").map_err(bad)?;
        let stream_name = stream_name.unwrap_or_else(|| Stream::Downstream.as_str().to_owned());
        let toxicity = body.float32("toxicity").map_err(bad)?.unwrap_or(1.0);

        let stream = Stream::parse(&stream_name).ok_or_else(Error::invalid_stream)?;
        let name = if name.is_empty() { format!("{kind}_{stream_name}") } else { name };
        let known = KINDS.iter().find(|(name, _)| *name == kind);
        let (_, default) = known.ok_or_else(Error::invalid_toxic_type)?;
        let kind = default.updated(body).map_err(bad)?;
        Ok(Toxic { id, name, stream, stream_name, toxicity, kind })
    }

    /// The same toxic with what an update says; type, name and stream stay.
    pub fn updated(&self, body: &Object) -> Result<Toxic, Error> {
        let kind = self.kind.updated(body).map_err(Error::bad_request_body)?;
        let toxicity = body.float32("toxicity").map_err(Error::bad_request_body)?;
        Ok(Toxic { toxicity: toxicity.unwrap_or(self.toxicity), kind, ..self.clone() })
    }
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Noop => "noop",
            Kind::Latency(_) => "latency",
            Kind::Bandwidth(_) => "bandwidth",
            Kind::SlowClose(_) => "slow_close",
            Kind::Timeout(_) => "timeout",
            Kind::ResetPeer(_) => "reset_peer",
            Kind::Slicer(_) => "slicer",
            Kind::LimitData(_) => "limit_data",
            Kind::PacketLoss(_) => "packet_loss",
        }
    }

    /// With those attributes replaced that `body.attributes` has.
    fn updated(mut self, body: &Object) -> Result<Kind, String> {
        let Some(given) = body.object("attributes")? else { return Ok(self) };
        match &mut self {
            Kind::Noop => {}
            Kind::Latency(Latency { latency, jitter }) => {
                given.set_integer("latency", latency)?;
                given.set_integer("jitter", jitter)?;
            }
            Kind::Bandwidth(Bandwidth { rate }) => given.set_integer("rate", rate)?,
            Kind::SlowClose(SlowClose { delay }) => given.set_integer("delay", delay)?,
            Kind::Timeout(Timeout { timeout }) | Kind::ResetPeer(ResetPeer { timeout }) => {
                given.set_integer("timeout", timeout)?;
            }
            Kind::Slicer(Slicer { average_size, size_variation, delay }) => {
                given.set_integer("average_size", average_size)?;
                given.set_integer("size_variation", size_variation)?;
                given.set_integer("delay", delay)?;
            }
            Kind::LimitData(LimitData { bytes }) => given.set_integer("bytes", bytes)?,
            Kind::PacketLoss(PacketLoss { loss_rate, correlation }) => {
                *loss_rate = given.float("loss_rate")?.unwrap_or(*loss_rate);
                *correlation = given.float("correlation")?.unwrap_or(*correlation);
            }
        }
        Ok(self)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Kind::Noop => serializer.serialize_struct("Noop", 0)?.end(),
            Kind::Latency(attributes) => attributes.serialize(serializer),
            Kind::Bandwidth(attributes) => attributes.serialize(serializer),
            Kind::SlowClose(attributes) => attributes.serialize(serializer),
            Kind::Timeout(attributes) => attributes.serialize(serializer),
            Kind::ResetPeer(attributes) => attributes.serialize(serializer),
            Kind::Slicer(attributes) => attributes.serialize(serializer),
            Kind::LimitData(attributes) => attributes.serialize(serializer),
            Kind::PacketLoss(attributes) => attributes.serialize(serializer),
        }
    }
}

impl Serialize for Toxic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Toxic", 5)?;
        fields.serialize_field("attributes", &self.kind)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("type", self.kind.name())?;
        fields.serialize_field("stream", &self.stream_name)?;
        fields.serialize_field("toxicity", &Shortest(self.toxicity))?;
        fields.end()
    }
}

/// A number as Go prints it: `1`, not `1.0`.
struct Shortest(f32);

impl Serialize for Shortest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e6 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f32(self.0)
        }
    }
}

fn shortest<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < 1e6 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Toxic, Error> {
        Toxic::read(1, &Object::read(body.as_bytes(), "Toxic").unwrap())
    }

    fn written(toxic: &Toxic) -> String {
        serde_json::to_string(toxic).unwrap()
    }

    #[test]
    fn defaults_are_toxiproxys() {
        let toxic = read(r#"{"type": "latency"}"#).unwrap();
        let expected = r#"{"attributes":{"latency":0,"jitter":0},"name":"latency_downstream","#
            .to_owned()
            + r#""type":"latency","stream":"downstream","toxicity":1}"#;
        assert_eq!(written(&toxic), expected);
    }

    #[test]
    fn every_type_is_read_and_written() {
        for (name, default) in KINDS {
            let toxic = read(&format!(r#"{{"type": "{name}", "toxicity": 0.2}}"#)).unwrap();
            assert_eq!((toxic.kind, toxic.kind.name()), (*default, *name));
            assert!(written(&toxic).ends_with(r#""toxicity":0.2}"#), "{}", written(&toxic));
        }
    }

    #[test]
    fn an_update_changes_only_what_it_names() {
        let body = r#"{"type": "latency", "attributes": {"latency": 100, "jitter": 10}}"#;
        let update = Object::read(br#"{"attributes": {"latency": 1000}}"#, "Toxic").unwrap();
        let updated = read(body).unwrap().updated(&update).unwrap();
        assert_eq!(updated.kind, Kind::Latency(Latency { latency: 1000, jitter: 10 }));
        assert_eq!((updated.toxicity, updated.id), (1.0, 1));
    }

    #[test]
    fn a_bad_toxic_is_told_why() {
        for (body, message) in [
            (r#"{"type": "latency", "stream": "walrustream"}"#, "stream was invalid, can be"),
            (r#"{"type": "walrus"}"#, "invalid toxic type"),
            (
                r#"{"type": "latency", "attributes": {"latency": "1"}}"#,
                "bad request body: json: cannot unmarshal string into Go struct field",
            ),
            (
                r#"{"type": "latency", "attributes": {"latency": 1.5}}"#,
                "bad request body: json: cannot unmarshal number 1.5 into Go struct field",
            ),
            (
                r#"{"type": "latency", "toxicity": 1e300}"#,
                "bad request body: json: cannot unmarshal number 1",
            ),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.to_string().starts_with(message), "{body}: {error}");
            assert_eq!(error.status, 400);
        }
    }
}

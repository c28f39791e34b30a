//! What a request was refused for. Status and text are Toxiproxy's, so that its clients understand.

/// A refusal: an HTTP status and what was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub message: String,
    pub status: u16,
}

impl Error {
    pub fn new(status: u16, message: impl Into<String>) -> Error {
        Error { message: message.into(), status }
    }

    pub fn bad_request_body(why: impl AsRef<str>) -> Error {
        Error::new(400, format!("bad request body: {}", why.as_ref()))
    }

    pub fn missing_field(which: impl AsRef<str>) -> Error {
        Error::new(400, format!("missing required field: {}", which.as_ref()))
    }

    pub fn invalid_stream() -> Error {
        Error::new(400, "stream was invalid, can be either upstream or downstream")
    }

    pub fn invalid_toxic_type() -> Error {
        Error::new(400, "invalid toxic type")
    }

    pub fn proxy_not_found() -> Error {
        Error::new(404, "proxy not found")
    }

    pub fn proxy_already_exists() -> Error {
        Error::new(409, "proxy already exists")
    }

    pub fn toxic_not_found() -> Error {
        Error::new(404, "toxic not found")
    }

    pub fn toxic_already_exists() -> Error {
        Error::new(409, "toxic already exists")
    }

    /// A bound of ours, which Toxiproxy does not have.
    pub fn too_many(what: &str, at_most: usize) -> Error {
        Error::new(400, format!("too many {what}: at most {at_most}; remove some first"))
    }

    /// What the operating system refused.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(500, message)
    }
}

//! Which object store, and with which credentials.

use std::fmt;
use std::path::{Path, PathBuf};

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CONNECT_TIMEOUT, REQUEST_TIMEOUT, RETRIES_MAX, RETRY_TIMEOUT};
use crate::Error;

/// An S3-compatible object store. Without keys and a file of them, what the environment gives is
/// used: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the role of the host or container.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `s3://BUCKET` or `s3://BUCKET/PREFIX`. The bucket has to be there.
    pub url: String,
    /// Address of a store that is not Amazon's, such as `https://minio.example.org:9000`.
    pub endpoint: Option<String>,
    /// `us-east-1` where it is not given.
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    /// Take it from the environment: `${env:S3_SECRET}`.
    pub secret_access_key: Option<String>,
    /// File with lines `aws_access_key_id = …` and `aws_secret_access_key = …`.
    pub credentials_file: Option<PathBuf>,
    /// Allows an endpoint without TLS.
    pub allow_http: bool,
    /// The bucket is part of the path, not of the host name. Most stores that are not Amazon's want
    /// that.
    pub path_style: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a configuration.
pub type Problem = String;

/// Larger files of credentials are not read.
const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;

impl Config {
    /// Bucket and prefix of `url`.
    pub fn bucket(&self) -> Result<(&str, &str), Problem> {
        let wrong = || format!("`{}` is no address; write s3://BUCKET/PREFIX", self.url);
        let rest = self.url.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._/".contains(c));
        if bucket.is_empty() || self.url.contains(odd_in_url(odd)) || prefix.contains("//") {
            return Err(wrong());
        }
        Ok((bucket, prefix))
    }

    /// Says what is wrong, before anything is asked of the network.
    pub fn check(&self) -> Result<(), Problem> {
        self.bucket()?;
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err("give both access_key_id and secret_access_key, or neither".to_owned());
        }
        if self.access_key_id.is_some() && self.credentials_file.is_some() {
            return Err("give keys or credentials_file, not both".to_owned());
        }
        match &self.endpoint {
            Some(endpoint) if endpoint.starts_with("http://") && !self.allow_http => {
                Err(format!("`{endpoint}` is without TLS; use https://, or set allow_http"))
            }
            Some(endpoint)
                if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") =>
            {
                Err(format!("`{endpoint}` is no address; write https://HOST:PORT"))
            }
            _ => Ok(()),
        }
    }

    /// A client, and the prefix below which it is to be used.
    pub(super) fn build(&self) -> Result<(AmazonS3, String), Error> {
        let wrong = |reason| Error::ObjectsConfig { reason };
        self.check().map_err(wrong)?;
        let (bucket, prefix) = self.bucket().map_err(wrong)?;
        let options = ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(CONNECT_TIMEOUT);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIMEOUT,
        };
        let mut builder = match self.keys()? {
            Some((key, secret)) => {
                AmazonS3Builder::new().with_access_key_id(key).with_secret_access_key(secret)
            }
            None => AmazonS3Builder::from_env(),
        };
        builder = builder
            .with_bucket_name(bucket)
            .with_region(self.region.as_deref().unwrap_or("us-east-1"))
            .with_virtual_hosted_style_request(!self.path_style)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let client = builder.build().map_err(|source| Error::Objects {
            operation: "use",
            key: self.url.clone(),
            source,
        })?;
        Ok((client, prefix.to_owned()))
    }

    fn keys(&self) -> Result<Option<(String, String)>, Error> {
        if let (Some(key), Some(secret)) = (&self.access_key_id, &self.secret_access_key) {
            return Ok(Some((key.clone(), secret.clone())));
        }
        let Some(path) = &self.credentials_file else { return Ok(None) };
        let bytes = std::fs::metadata(path).map_err(Error::io("look at", path))?.len();
        if bytes > CREDENTIALS_BYTES_MAX {
            let reason = format!("{} is too large for a file of credentials", path.display());
            return Err(Error::ObjectsConfig { reason });
        }
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        read_keys(&text).map(Some).ok_or_else(|| no_keys(path))
    }
}

fn odd_in_url(odd: impl Fn(char) -> bool) -> impl FnMut(char) -> bool {
    move |c| c != ':' && odd(c)
}

fn no_keys(path: &Path) -> Error {
    let reason = format!(
        "{} has no lines `aws_access_key_id = …` and `aws_secret_access_key = …`",
        path.display()
    );
    Error::ObjectsConfig { reason }
}

/// The first of each key, of whichever profile.
fn read_keys(text: &str) -> Option<(String, String)> {
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == wanted && !value.trim().is_empty()).then(|| value.trim().to_owned())
        })
    };
    Some((value("aws_access_key_id")?, value("aws_secret_access_key")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        Config { url: url.to_owned(), ..Config::default() }
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(config("s3://bucket").bucket(), Ok(("bucket", "")));
        assert_eq!(config("s3://bucket/a/b/").bucket(), Ok(("bucket", "a/b")));
        for wrong in ["", "bucket", "s3://", "s3:///a", "gs://bucket", "s3://b/a//b", "s3://b/ä"] {
            assert!(config(wrong).bucket().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let endpoint = |endpoint: &str| Config {
            endpoint: Some(endpoint.to_owned()),
            ..config("s3://bucket")
        };
        assert!(endpoint("https://127.0.0.1:9000").check().is_ok());
        assert!(endpoint("127.0.0.1:9000").check().is_err());
        assert!(endpoint("http://127.0.0.1:9000").check().is_err());
        assert!(Config { allow_http: true, ..endpoint("http://127.0.0.1:9000") }.check().is_ok());
        let half = Config { access_key_id: Some("key".to_owned()), ..config("s3://bucket") };
        assert!(half.check().is_err());
    }

    #[test]
    fn keys_are_read_from_a_file_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        std::fs::write(&path, "[default]\naws_access_key_id = me\naws_secret_access_key=s=cret\n")
            .unwrap();
        let config = Config { credentials_file: Some(path.clone()), ..config("s3://bucket") };
        let keys = config.keys().unwrap().unwrap();
        assert_eq!((keys.0.as_str(), keys.1.as_str()), ("me", "s=cret"));
        std::fs::write(&path, "aws_access_key_id =").unwrap();
        assert!(config.keys().is_err());
        let secret = Config { secret_access_key: Some("s=cret".to_owned()), ..config };
        assert!(!format!("{secret:?}").contains("cret"));
    }
}

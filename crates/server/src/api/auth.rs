//! Who may ask what. Tokens are compared in constant time; a page from elsewhere cannot ask at all.
//!
//! Without tokens the API listens on loopback only and everybody there is admin. `guard_host` keeps
//! web pages out in both cases: DNS rebinding by the `Host` header, cross-site requests by
//! `Origin`.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, uri::Authority};
use axum::middleware::Next;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::{App, Error};
use crate::config::{Token, Tokens};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May send telemetry and alerts, and nothing else.
    Ingest,
    Read,
    Approve,
    Admin,
}

/// Whom a request stands for, as it is journalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

/// What that one may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held(pub Role);

/// Lets a request through when its token has at least the role.
pub(super) async fn require(
    State((app, role)): State<(App, Role)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let tokens = &app.config.api.tokens;
    let (principal, held) = if tokens.any() {
        let bearer = bearer(request.headers()).ok_or(Error::Unauthenticated)?;
        let (name, held) = role_of(tokens, bearer).ok_or(Error::Unauthenticated)?;
        if !held.may(role) {
            let role = role.as_str();
            let message = format!("`{name}` may not do this: a token for `{role}` is needed");
            return Err(Error::Forbidden(message));
        }
        (name, held)
    } else {
        ("local".to_owned(), Role::Admin)
    };
    request.extensions_mut().insert(Principal(principal));
    request.extensions_mut().insert(Held(held));
    Ok(next.run(request).await)
}

impl Role {
    /// Roles hold those below them, but who reads does not send.
    fn may(self, needed: Role) -> bool {
        match needed {
            Role::Ingest => matches!(self, Role::Ingest | Role::Admin),
            _ => self >= needed,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Read => "read",
            Role::Approve => "approve",
            Role::Admin => "admin",
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

/// The strongest role that a secret has, and whose it is.
fn role_of(tokens: &Tokens, secret: &str) -> Option<(String, Role)> {
    let lists = [
        (&tokens.admin, Role::Admin),
        (&tokens.approve, Role::Approve),
        (&tokens.read, Role::Read),
        (&tokens.ingest, Role::Ingest),
    ];
    let mut found = None;
    for (list, role) in lists {
        for token in list {
            if matches(token, secret) && found.is_none() {
                found = Some((token.name.clone(), role));
            }
        }
    }
    found
}

fn matches(token: &Token, secret: &str) -> bool {
    token.secret.as_bytes().ct_eq(secret.as_bytes()).into()
}

/// May this bearer token send telemetry?
pub fn may_ingest(tokens: &Tokens, secret: Option<&str>) -> bool {
    if !tokens.any() {
        return true;
    }
    let Some(secret) = secret else { return false };
    let mut allowed = false;
    for token in tokens.ingest.iter().chain(&tokens.admin) {
        allowed |= matches(token, secret);
    }
    allowed
}

/// Refuses requests that were meant for another host, or come from another site's page.
pub(super) async fn guard_host(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().map(str::to_owned),
        (Some(_), Some(_)) => None,
        (None, _) => request.uri().authority().map(|authority| authority.to_string()),
    };
    let host = host.ok_or_else(|| Error::Invalid("one Host header is needed".to_owned()))?;
    let name = host_name(&host)?;
    let open = app.config.api.tokens.any() && !app.listen.ip().is_loopback();
    if !open && !is_local(&name) && !app.config.api.hosts.contains(&name) {
        let message = format!("host `{name}` is not served here; add it to api.hosts");
        return Err(Error::Forbidden(message));
    }
    if let Some(origin) = headers.get(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let own = origin.split_once("://").is_some_and(|(_, authority)| authority == host);
        if !own && !app.config.api.origins.iter().any(|allowed| allowed == origin) {
            let message = format!("origin `{origin}` may not ask; add it to api.origins");
            return Err(Error::Forbidden(message));
        }
    }
    Ok(next.run(request).await)
}

fn host_name(host: &str) -> Result<String, Error> {
    let authority: Authority =
        host.parse().map_err(|_| Error::Invalid("the Host header is malformed".to_owned()))?;
    Ok(authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

fn is_local(name: &str) -> bool {
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, secret: &str) -> Token {
        Token { name: name.to_owned(), secret: secret.to_owned() }
    }

    #[test]
    fn a_token_has_its_role_and_no_more() {
        let tokens = Tokens {
            ingest: vec![token("collector", "ingest-secret-0001")],
            read: vec![token("wall", "reading-secret-001")],
            admin: vec![token("ops", "admin-secret-00001")],
            ..Tokens::default()
        };
        assert_eq!(role_of(&tokens, "reading-secret-001").unwrap().1, Role::Read);
        assert_eq!(role_of(&tokens, "admin-secret-00001").unwrap().1, Role::Admin);
        assert_eq!(role_of(&tokens, "ingest-secret-0001").unwrap().1, Role::Ingest);
        assert_eq!(role_of(&tokens, "ingest-secret-0002"), None);
        assert!(Role::Ingest.may(Role::Ingest) && !Role::Ingest.may(Role::Read));
        assert!(Role::Admin.may(Role::Ingest) && !Role::Approve.may(Role::Ingest));
        assert!(Role::Approve.may(Role::Read) && !Role::Read.may(Role::Approve));
        assert!(may_ingest(&tokens, Some("ingest-secret-0001")));
        assert!(!may_ingest(&tokens, Some("reading-secret-001")));
        assert!(!may_ingest(&tokens, None));
    }

    #[test]
    fn only_local_names_are_local() {
        for name in ["localhost", "127.0.0.1", "::1", "immune.localhost"] {
            assert!(is_local(name), "{name}");
        }
        for name in ["example.com", "10.0.0.1", "localhost.example.com"] {
            assert!(!is_local(name), "{name}");
        }
        assert_eq!(host_name("[::1]:7700").unwrap(), "::1");
    }
}

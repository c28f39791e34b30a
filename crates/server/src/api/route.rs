//! What a route is. axum's router and the document are both made from the same [`Route`]s, so that
//! neither has a route, or a role, that the other has not.

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use super::contract::{Contract, Contracted, Schemas};
use super::{App, Role};

/// Routes that belong together.
pub(super) struct Area {
    pub name: &'static str,
    pub about: &'static str,
    pub routes: &'static [Route],
}

/// One method of one path.
pub(super) struct Route {
    /// With at most one variable part, in braces.
    pub path: &'static str,
    /// The least that may ask it; `None` of what anybody may.
    pub role: Option<Role>,
    /// One line.
    pub summary: &'static str,
    /// What may follow the question mark.
    pub parameters: &'static [Parameter],
    pub endpoint: fn() -> Endpoint,
}

/// Something that may follow the question mark.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
    pub given: Given,
}

/// How a parameter is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Integer,
    /// RFC 3339, `now`, or a duration before now.
    Moment,
    /// `250ms`, `10s`, `5m`, `1h30m`.
    Duration,
    Word(&'static [&'static str]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Maybe,
    Must,
    /// Any number of times.
    Often,
}

/// A handler and what it takes and answers.
pub(super) struct Endpoint {
    /// In lower case.
    pub method: &'static str,
    pub router: MethodRouter<App>,
    pub contract: fn(&mut Schemas) -> Contract,
}

impl Route {
    /// A route that people with `role` may ask.
    pub const fn new(
        role: Role,
        path: &'static str,
        summary: &'static str,
        endpoint: fn() -> Endpoint,
    ) -> Route {
        Route { path, role: Some(role), summary, parameters: &[], endpoint }
    }

    /// A route that anybody may ask who reaches the port.
    pub const fn open(
        path: &'static str,
        summary: &'static str,
        endpoint: fn() -> Endpoint,
    ) -> Route {
        Route { path, role: None, summary, parameters: &[], endpoint }
    }

    pub const fn with(self, parameters: &'static [Parameter]) -> Route {
        Route { parameters, ..self }
    }
}

impl Parameter {
    pub const fn new(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
        Parameter { name, about, kind, given: Given::Maybe }
    }

    pub const fn must(self) -> Parameter {
        Parameter { given: Given::Must, ..self }
    }

    pub const fn often(self) -> Parameter {
        Parameter { given: Given::Often, ..self }
    }
}

pub(super) fn get<H, Taken>(handler: H) -> Endpoint
where
    H: Handler<Taken, App> + Contracted<Taken>,
    Taken: 'static,
{
    let contract = H::contract;
    Endpoint { method: "get", router: routing::get(handler), contract }
}

pub(super) fn post<H, Taken>(handler: H) -> Endpoint
where
    H: Handler<Taken, App> + Contracted<Taken>,
    Taken: 'static,
{
    let contract = H::contract;
    Endpoint { method: "post", router: routing::post(handler), contract }
}

//! Entities: everything that can be at fault or be hurt, and the scope that keeps staging away from
//! production.
//!
//! Invariant: an entity never changes its scope; two entities of different scopes are never equal.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tenant and environment. Trouble in one scope never moves another.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Scope {
    pub tenant: String,
    pub environment: String,
}

impl Scope {
    pub fn new(tenant: &str, environment: &str) -> Self {
        Scope { tenant: tenant.to_owned(), environment: environment.to_owned() }
    }
}

impl Default for Scope {
    /// Tenant `default`, environment `default`: telemetry that names none.
    fn default() -> Self {
        Scope::new("default", "default")
    }
}

/// What an entity is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    Service,
    /// One running copy of a service.
    Instance,
    /// A route or method of a service.
    Operation,
    Database,
    /// Queue or topic of a broker.
    Queue,
    /// Something called that no telemetry tells about from inside.
    Peer,
    Host,
    Container,
    Process,
    Page,
    /// All of a scope together: what nobody can tell a part of.
    System,
}

impl EntityKind {
    pub const ALL: &[EntityKind] = &[
        EntityKind::Service,
        EntityKind::Instance,
        EntityKind::Operation,
        EntityKind::Database,
        EntityKind::Queue,
        EntityKind::Peer,
        EntityKind::Host,
        EntityKind::Container,
        EntityKind::Process,
        EntityKind::Page,
        EntityKind::System,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            EntityKind::Service => "service",
            EntityKind::Instance => "instance",
            EntityKind::Operation => "operation",
            EntityKind::Database => "database",
            EntityKind::Queue => "queue",
            EntityKind::Peer => "peer",
            EntityKind::Host => "host",
            EntityKind::Container => "container",
            EntityKind::Process => "process",
            EntityKind::Page => "page",
            EntityKind::System => "system",
        }
    }
}

/// An entity. `part_of` names the service of an instance or operation, else it is empty.
///
/// Identity is all four fields; `Display` is what people read (`payment/payment-1`), `key()` is
/// exact.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Entity {
    pub scope: Scope,
    pub kind: EntityKind,
    pub part_of: String,
    pub name: String,
}

impl Entity {
    pub fn new(scope: &Scope, kind: EntityKind, name: &str) -> Self {
        Entity { scope: scope.clone(), kind, part_of: String::new(), name: name.to_owned() }
    }

    pub fn service(scope: &Scope, name: &str) -> Self {
        Entity::new(scope, EntityKind::Service, name)
    }

    pub fn instance(scope: &Scope, service: &str, instance: &str) -> Self {
        Entity { part_of: service.to_owned(), ..Entity::new(scope, EntityKind::Instance, instance) }
    }

    pub fn operation(scope: &Scope, service: &str, operation: &str) -> Self {
        Entity {
            part_of: service.to_owned(),
            ..Entity::new(scope, EntityKind::Operation, operation)
        }
    }

    /// The scope as a whole.
    pub fn system(scope: &Scope) -> Self {
        Entity::new(scope, EntityKind::System, "system")
    }

    /// The service that this entity is, or is a part of.
    pub fn owner(&self) -> Option<Entity> {
        match self.kind {
            EntityKind::Service => Some(self.clone()),
            EntityKind::Instance | EntityKind::Operation => {
                Some(Entity::service(&self.scope, &self.part_of))
            }
            _ => None,
        }
    }

    /// Exact text identity: `tenant/environment/kind:part_of/name`.
    pub fn key(&self) -> String {
        let Scope { tenant, environment } = &self.scope;
        format!("{tenant}/{environment}/{}:{}/{}", self.kind.as_str(), self.part_of, self.name)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EntityKind::Service => f.write_str(&self.name),
            EntityKind::Instance if self.name.starts_with(&self.part_of) => f.write_str(&self.name),
            EntityKind::Instance => write!(f, "{}/{}", self.part_of, self.name),
            EntityKind::Operation => write!(f, "{} {}", self.part_of, self.name),
            EntityKind::System => f.write_str("the system"),
            _ => write!(f, "{} {}", self.kind.as_str(), self.name),
        }
    }
}

//! Entities: everything that can be at fault or be hurt, and the scope that keeps staging away from
//! production.
//!
//! Invariant: an entity never changes its scope; two entities of different scopes are never equal.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
/// exact. Entities are compared and copied all the time, and made rarely: a copy is another handle
/// on the same texts, and the beginning of each text lies beside it for comparing.
#[derive(Clone)]
pub struct Entity(Arc<Named>);

/// The fields of an entity, read through it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Entity")]
pub struct EntityFields {
    pub scope: Scope,
    pub kind: EntityKind,
    pub part_of: String,
    pub name: String,
}

struct Named {
    heads: [u128; 4],
    fields: EntityFields,
    /// Made when it is first asked for.
    owner: OnceLock<Option<Entity>>,
}

impl Deref for Entity {
    type Target = EntityFields;

    fn deref(&self) -> &EntityFields {
        &self.0.fields
    }
}

impl From<EntityFields> for Entity {
    fn from(fields: EntityFields) -> Self {
        let heads = fields.texts().map(head);
        Entity(Arc::new(Named { heads, fields, owner: OnceLock::new() }))
    }
}

impl EntityFields {
    /// In the order in which they weigh; what the entity is comes after the second.
    fn texts(&self) -> [&str; 4] {
        [&self.scope.tenant, &self.scope.environment, &self.part_of, &self.name]
    }
}

/// The first bytes of a text, as a number that sorts like them.
fn head(text: &str) -> u128 {
    let mut bytes = [0; HEAD];
    let len = text.len().min(HEAD);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    u128::from_be_bytes(bytes)
}

const HEAD: usize = size_of::<u128>();

impl Entity {
    pub fn new(scope: &Scope, kind: EntityKind, name: &str) -> Self {
        Entity::part(scope, kind, "", name)
    }

    /// Of the service that `part_of` names.
    pub fn part(scope: &Scope, kind: EntityKind, part_of: &str, name: &str) -> Self {
        let (part_of, name) = (part_of.to_owned(), name.to_owned());
        EntityFields { scope: scope.clone(), kind, part_of, name }.into()
    }

    pub fn service(scope: &Scope, name: &str) -> Self {
        Entity::new(scope, EntityKind::Service, name)
    }

    pub fn instance(scope: &Scope, service: &str, instance: &str) -> Self {
        Entity::part(scope, EntityKind::Instance, service, instance)
    }

    pub fn operation(scope: &Scope, service: &str, operation: &str) -> Self {
        Entity::part(scope, EntityKind::Operation, service, operation)
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
                let owner = || Some(Entity::service(&self.scope, &self.part_of));
                self.0.owner.get_or_init(owner).clone()
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

impl Ord for Entity {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        let (ours, theirs) = (self.texts(), other.texts());
        let text = |at: usize| {
            self.0.heads[at].cmp(&other.0.heads[at]).then_with(|| {
                match ours[at].len() <= HEAD && theirs[at].len() <= HEAD {
                    true => ours[at].len().cmp(&theirs[at].len()),
                    false => ours[at].cmp(theirs[at]),
                }
            })
        };
        text(0)
            .then_with(|| text(1))
            .then_with(|| self.kind.cmp(&other.kind))
            .then_with(|| text(2))
            .then_with(|| text(3))
    }
}

impl PartialOrd for Entity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entity {}

impl Hash for Entity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.texts(), self.kind).hash(state);
    }
}

impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

impl Serialize for Entity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EntityFields::deserialize(deserializer).map(Entity::from)
    }
}

impl JsonSchema for Entity {
    fn schema_name() -> Cow<'static, str> {
        EntityFields::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        EntityFields::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        EntityFields::json_schema(generator)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entities_sort_by_their_fields_whatever_begins_alike() {
        let text = "[ab\0é]{0,3}(payment-service-)?[ab\0]{0,3}";
        let fields = (text, text, 0..EntityKind::ALL.len(), text, text);
        let entity = fields.prop_map(|(tenant, environment, kind, part_of, name)| {
            let scope = Scope { tenant, environment };
            EntityFields { scope, kind: EntityKind::ALL[kind], part_of, name }
        });
        proptest!(|(a in entity.clone(), b in entity)| {
            let key = |it: &EntityFields| {
                (it.scope.clone(), it.kind, it.part_of.clone(), it.name.clone())
            };
            let expected = key(&a).cmp(&key(&b));
            let (a, b) = (Entity::from(a), Entity::from(b));
            prop_assert_eq!(a.cmp(&b), expected);
            prop_assert_eq!(a == b, expected == Ordering::Equal);
            prop_assert_eq!(&a, &Entity::from((*a).clone()));
        });
    }
}

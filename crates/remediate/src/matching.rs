//! Which policies are for a cause.
//!
//! A policy is for a cause when it names its kind and its target is the entity blamed, or an
//! instance of the service blamed. Scopes must be equal: trouble in staging finds no target of
//! production.

use std::collections::{BTreeMap, BTreeSet};

use model::{Cause, CauseKind, Entity, EntityKind, Mode};

use crate::config::{Config, Policy};
use crate::target::Target;

/// Policies for the cause that are not off: for each target the first in configuration order.
pub(crate) fn policies_for<'a>(
    config: &'a Config,
    targets: &BTreeMap<String, Target>,
    cause: &Cause,
) -> Vec<&'a Policy> {
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for policy in &config.policies {
        let Some(target) = targets.get(&policy.target) else { continue };
        let is_for = config.mode_of(policy) != Mode::Off && is_for(policy, target, cause);
        if is_for && taken.insert(&policy.target) {
            found.push(policy);
        }
    }
    found
}

fn is_for(policy: &Policy, target: &Target, cause: &Cause) -> bool {
    cause.kind != CauseKind::Unknown
        && policy.cause.0.contains(&cause.kind)
        && is_target_of(&target.entity, &cause.entity)
}

fn is_target_of(target: &Entity, blamed: &Entity) -> bool {
    let instance_of_blamed = target.kind == EntityKind::Instance
        && blamed.kind == EntityKind::Service
        && target.owner().as_ref() == Some(blamed);
    target == blamed || instance_of_blamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Scope;

    #[test]
    fn a_target_is_the_entity_blamed_or_an_instance_of_it() {
        let scope = Scope::default();
        let payment = Entity::service(&scope, "payment");
        let first = Entity::instance(&scope, "payment", "payment-1");
        let second = Entity::instance(&scope, "payment", "payment-2");
        assert!(is_target_of(&payment, &payment));
        assert!(is_target_of(&first, &payment));
        assert!(is_target_of(&first, &first));
        assert!(!is_target_of(&second, &first), "the other instance is innocent");
        assert!(!is_target_of(&payment, &first), "the whole service for one instance is too much");
    }

    #[test]
    fn the_same_name_in_another_environment_is_no_target() {
        let staging = Entity::service(&Scope::new("default", "staging"), "orders");
        let production = Entity::service(&Scope::new("default", "production"), "orders");
        assert!(!is_target_of(&production, &staging));
    }
}

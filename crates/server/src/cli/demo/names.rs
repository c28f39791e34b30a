//! What the services of the shop are called in telemetry and configuration. With a seed the names
//! say nothing of what a service does: whatever Immune makes of it, it did not read it off a name.

use std::collections::BTreeMap;

use super::chances::Chances;

/// A part of the shop, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Gateway,
    Checkout,
    Cart,
    Catalog,
    Inventory,
    Payment,
    Provider,
}

/// Names without a meaning for a shop.
const WORDS: [&str; 48] = [
    "alder", "amber", "aspen", "badger", "basalt", "beech", "birch", "cedar", "cobalt", "crane",
    "curlew", "delta", "dune", "ember", "falcon", "fern", "fjord", "flint", "glacier", "granite",
    "hazel", "heron", "indigo", "juniper", "kestrel", "lagoon", "larch", "linden", "lynx", "maple",
    "marten", "meadow", "mica", "nettle", "ochre", "onyx", "osprey", "otter", "plover", "quartz",
    "raven", "reed", "sorrel", "tundra", "umber", "willow", "wren", "yarrow",
];

#[derive(Clone, Debug)]
pub(super) struct Names {
    services: BTreeMap<Role, String>,
    /// Of services that have two.
    instances: BTreeMap<Role, [String; 2]>,
}

impl Role {
    pub(super) const ALL: [Role; 7] = [
        Role::Gateway,
        Role::Checkout,
        Role::Cart,
        Role::Catalog,
        Role::Inventory,
        Role::Payment,
        Role::Provider,
    ];

    /// What `shop` calls it.
    pub(super) fn part(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Checkout => "checkout",
            Role::Cart => "cart",
            Role::Catalog => "catalog",
            Role::Inventory => "inventory",
            Role::Payment => "payment",
            Role::Provider => "provider",
        }
    }

    /// Services whose users are hurt when this one fails, itself first.
    pub(super) fn with_callers(self) -> &'static [Role] {
        use Role::{Cart, Catalog, Checkout, Gateway, Inventory, Payment, Provider};
        match self {
            Gateway => &[Gateway],
            Checkout => &[Checkout, Gateway],
            Cart => &[Cart, Checkout, Gateway],
            Catalog => &[Catalog, Cart, Checkout, Gateway],
            Inventory => &[Inventory, Catalog, Cart, Checkout, Gateway],
            Payment => &[Payment, Checkout, Gateway],
            Provider => &[Provider, Payment, Checkout, Gateway],
        }
    }
}

impl Names {
    /// Without a seed the shop's own.
    pub(super) fn draw(chances: &mut Chances) -> Names {
        let mut words = WORDS;
        chances.shuffle(&mut words);
        let mut names = Names { services: BTreeMap::new(), instances: BTreeMap::new() };
        for (role, word) in Role::ALL.into_iter().zip(words) {
            let service = if chances.are_drawn() { word } else { role.part() };
            names.services.insert(role, service.to_owned());
        }
        for role in [Role::Catalog, Role::Payment] {
            let first = chances.between(1, 50);
            let numbers = [first, first + chances.between(1, 49)];
            let service = names.service(role);
            let instances = numbers.map(|number| format!("{service}-{number}"));
            names.instances.insert(role, instances);
        }
        names
    }

    pub(super) fn service(&self, role: Role) -> &str {
        &self.services[&role]
    }

    /// The two instances of catalog or payment; one that is alone is called as its service.
    pub(super) fn instances(&self, role: Role) -> &[String] {
        match self.instances.get(&role) {
            Some(two) => two,
            None => std::slice::from_ref(&self.services[&role]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all(names: &Names) -> Vec<String> {
        let services = Role::ALL.iter().map(|role| names.service(*role).to_owned());
        let two = [Role::Catalog, Role::Payment];
        let instances = two.iter().flat_map(|role| names.instances(*role).to_vec());
        services.chain(instances).collect()
    }

    #[test]
    fn without_a_seed_the_shop_is_called_as_it_is() {
        let names = Names::draw(&mut Chances::new(None));
        assert_eq!(names.service(Role::Cart), "cart");
        assert_eq!(names.instances(Role::Payment), ["payment-1", "payment-2"]);
        assert_eq!(names.instances(Role::Cart), ["cart"]);
    }

    #[test]
    fn drawn_names_differ_and_tell_nothing() {
        for seed in 0..200 {
            let names = all(&Names::draw(&mut Chances::new(Some(seed))));
            assert_eq!(names, all(&Names::draw(&mut Chances::new(Some(seed)))));
            let different: BTreeSet<&String> = names.iter().collect();
            assert_eq!(different.len(), names.len(), "{names:?}");
            assert!(
                Role::ALL
                    .iter()
                    .all(|role| { names.iter().all(|name| !name.contains(role.part())) })
            );
        }
    }

    #[test]
    fn the_words_are_all_different() {
        let different: BTreeSet<&str> = WORDS.into_iter().collect();
        assert_eq!(different.len(), WORDS.len());
    }
}

//! Which processes make up the demo, where they listen and where they write: the one source of
//! command lines, for the demo's own start and for the restart that Immune is allowed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::chances::Chances;
use super::names::{Names, Role};

/// The environment that the shop's telemetry names and that Immune may act in.
pub(super) const ENVIRONMENT: &str = "demo";

/// Below the ports that outgoing connections get by default, so that none of them takes the port
/// of a killed part before it is back.
const PORT_FIRST: u16 = 20_000;
const PORT_LAST: u16 = 32_000;
pub(super) const PORTS: usize = 12;
/// Good versions of the catalog, with one of which a demo begins.
pub(super) const GOOD_VERSIONS: [&str; 2] = ["1.4.0", "1.4.1"];
/// Sessions that arrive per second.
const RATE: (u64, u64) = (5, 10);
/// The one that should not have been released.
pub(super) const BAD_VERSION: &str = "1.5.0";
/// Users call an answer slow, and Immune is told to page, from here on.
pub(super) const SLOW_AFTER_MS: u64 = 500;

/// Parts without data of their own, which Immune may not touch: the gateway is the users' way in,
/// and the card network is somebody else's.
const STATELESS: [Role; 2] = [Role::Gateway, Role::Provider];

#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Full path of the work folder.
    pub dir: PathBuf,
    pub immune: PathBuf,
    pub shop: PathBuf,
    pub names: Names,
    /// Of the catalog, with which the demo begins.
    pub version: &'static str,
    /// Sessions that arrive per second.
    pub rate: u64,
    users_seed: u64,
    pub api: u16,
    pub otlp_grpc: u16,
    pub otlp_http: u16,
    pub gateway: u16,
    provider: u16,
    inventory: u16,
    cart: u16,
    checkout: u16,
    catalogs: [u16; 2],
    payments: [u16; 2],
}

/// One serving process of the shop.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub role: Role,
    /// Of the instance where the service has two, else of the service.
    pub name: String,
    pub service: String,
    /// Where the service has two.
    pub instance: Option<String>,
    pub port: u16,
    /// Immune may heal it.
    pub healed: bool,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub log: PathBuf,
}

impl Layout {
    /// `dir` is a full path; `ports` are all different; `programs` are `immune` and `shop`.
    pub(super) fn draw(
        dir: &Path,
        programs: (PathBuf, PathBuf),
        ports: [u16; PORTS],
        chances: &mut Chances,
    ) -> Layout {
        let [api, otlp_grpc, otlp_http, gateway, parts @ ..] = ports;
        let [provider, inventory, cart, checkout, balanced @ ..] = parts;
        let [catalog_1, catalog_2, payment_1, payment_2] = balanced;
        Layout {
            dir: dir.to_owned(),
            immune: programs.0,
            shop: programs.1,
            names: Names::draw(chances),
            version: chances.pick::<&str>(&GOOD_VERSIONS),
            rate: chances.between(RATE.0, RATE.1),
            users_seed: chances.between(1, 1 << 32),
            api,
            otlp_grpc,
            otlp_http,
            gateway,
            provider,
            inventory,
            cart,
            checkout,
            catalogs: [catalog_1, catalog_2],
            payments: [payment_1, payment_2],
        }
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.dir.join("immune.yaml")
    }

    /// Of the drill with this number, from 1, and kind.
    pub(super) fn experiment_file(&self, number: usize, kind: &str) -> PathBuf {
        self.dir.join("drills").join(format!("{number}-{kind}.yaml"))
    }

    /// Immune's data folder.
    pub(super) fn storage(&self) -> PathBuf {
        self.dir.join("immune")
    }

    pub(super) fn users_log(&self) -> PathBuf {
        self.dir.join("users.jsonl")
    }

    /// What is written here is followed by the users at once: sessions per second.
    pub(super) fn rate_file(&self) -> PathBuf {
        self.dir.join("rate")
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    pub(super) fn pid_file(&self, name: &str) -> PathBuf {
        self.dir.join("pids").join(format!("{name}.pid"))
    }

    pub(super) fn api_url(&self) -> String {
        url(self.api)
    }

    pub(super) fn storefront_url(&self) -> String {
        url(self.gateway)
    }

    /// Names the version of the catalog that runs.
    pub(super) fn release_file(&self) -> PathBuf {
        self.dir.join("release")
    }

    /// What `shop release` deploys.
    pub(super) fn deployment_file(&self) -> PathBuf {
        self.dir.join("catalog.json")
    }

    /// The serving processes, callees first.
    pub(super) fn parts(&self) -> Vec<Part> {
        let option = |name, port| (name, url(port));
        let catalogs = self.catalogs.map(|port| option("--catalog", port));
        let payments = self.payments.map(|port| option("--payment", port));
        let balancer = ("--payment", format!("{}/internal", url(self.gateway)));
        let provider = [option("--provider", self.provider)];
        let inventory = option("--inventory", self.inventory);
        let release = ("--release-file", text(&self.release_file()));
        let catalog = [inventory.clone(), release];
        let cart = option("--cart", self.cart);
        let checkout = [&catalogs[..], &[inventory, cart.clone(), balancer]].concat();
        let own = [cart, option("--checkout", self.checkout)];
        let gateway = [&catalogs[..], &own, &payments].concat();
        vec![
            self.part(Role::Provider, 0, self.provider, &[]),
            self.part(Role::Payment, 0, self.payments[0], &provider),
            self.part(Role::Payment, 1, self.payments[1], &provider),
            self.part(Role::Inventory, 0, self.inventory, &[]),
            self.part(Role::Catalog, 0, self.catalogs[0], &catalog),
            self.part(Role::Catalog, 1, self.catalogs[1], &catalog),
            self.part(Role::Cart, 0, self.cart, &catalogs),
            self.part(Role::Checkout, 0, self.checkout, &checkout),
            self.part(Role::Gateway, 0, self.gateway, &gateway),
        ]
    }

    /// The parts of one service.
    pub(super) fn parts_of(&self, role: Role) -> Vec<Part> {
        self.parts().into_iter().filter(|part| part.role == role).collect()
    }

    /// Names of the services whose users may be hurt when this one fails.
    pub(super) fn hurt_with(&self, role: Role) -> Vec<String> {
        role.with_callers().iter().map(|role| self.names.service(*role).to_owned()).collect()
    }

    /// `shop` with these arguments.
    pub(super) fn shop(&self, arguments: &[&str]) -> Vec<String> {
        let own = std::iter::once(text(&self.shop));
        own.chain(arguments.iter().map(|argument| (*argument).to_owned())).collect()
    }

    /// Where the card network answers, as its callers' telemetry calls it.
    pub(super) fn provider_address(&self) -> String {
        format!("127.0.0.1:{}", self.provider)
    }

    /// Where operators take a payment instance out of rotation, and put it back; the gateway
    /// numbers them from 1.
    pub(super) fn rotation_url(&self, payment: &str) -> Option<String> {
        let instances = self.names.instances(Role::Payment);
        let number = instances.iter().position(|name| name == payment)? + 1;
        Some(format!("{}/admin/payments/payment-{number}", self.storefront_url()))
    }

    /// The command line of the users.
    pub(super) fn users(&self) -> Vec<String> {
        let mut command = vec![text(&self.shop), "users".to_owned()];
        for (option, value) in [
            ("--url", self.storefront_url()),
            ("--rate", self.rate.to_string()),
            ("--seed", self.users_seed.to_string()),
            ("--log", text(&self.users_log())),
            ("--rate-file", text(&self.rate_file())),
            ("--slow-after", format!("{SLOW_AFTER_MS}ms")),
        ] {
            command.extend([option.to_owned(), value]);
        }
        command
    }

    fn part(&self, role: Role, index: usize, port: u16, upstreams: &[(&str, String)]) -> Part {
        let (service, instances) = (self.names.service(role), self.names.instances(role));
        let (name, healed) = (instances[index].clone(), !STATELESS.contains(&role));
        let instance = (instances.len() > 1).then(|| name.clone());
        let mut command = self.shop(&[role.part()]);
        let mut add = |option: &str, value: String| command.extend([option.to_owned(), value]);
        add("--listen", port.to_string());
        if let Some(instance) = &instance {
            add("--instance", instance.clone());
        }
        if healed {
            add("--data", text(&self.dir.join("data")));
        }
        for (option, value) in upstreams {
            add(option, value.clone());
        }
        add("--pid-file", text(&self.pid_file(&name)));
        let id = instance.clone().unwrap_or_else(|| format!("{service}-1"));
        Part {
            role,
            service: service.to_owned(),
            instance,
            port,
            healed,
            command,
            environment: self.telemetry(service, &id),
            log: self.log(&name),
            name,
        }
    }

    /// The standard variables of OpenTelemetry's SDKs; nothing else ties the shop to Immune.
    fn telemetry(&self, service: &str, id: &str) -> BTreeMap<String, String> {
        let attributes =
            format!("deployment.environment.name={ENVIRONMENT},service.instance.id={id}");
        BTreeMap::from([
            ("OTEL_SERVICE_NAME".to_owned(), service.to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), url(self.otlp_grpc)),
            ("OTEL_RESOURCE_ATTRIBUTES".to_owned(), attributes),
            ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "1000".to_owned()),
        ])
    }
}

/// Ports on which nobody listens. They are tried one by one and let go again together.
pub(super) fn free_ports() -> Result<[u16; PORTS]> {
    let span = u32::from(PORT_LAST - PORT_FIRST);
    // Demos that start at the same time should not look at the same ports first.
    let offset = std::process::id().wrapping_mul(97) % span;
    let mut held = Vec::new();
    for step in 0..span {
        let Ok(port) = u16::try_from(u32::from(PORT_FIRST) + (offset + step) % span) else { break };
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
        if held.len() == PORTS {
            break;
        }
    }
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    match ports.try_into() {
        Ok(ports) => Ok(ports),
        Err(_) => bail!("fewer than {PORTS} free ports from {PORT_FIRST} to {PORT_LAST}"),
    }
}

/// This program, and the shop beside it.
pub(super) fn programs() -> Result<(PathBuf, PathBuf)> {
    let immune = std::env::current_exe().context("cannot find this program's own file")?;
    let shop = immune.with_file_name("shop");
    if !shop.is_file() {
        bail!(
            "the demo needs the shop's program beside this one, and {} is not there; \
             build both with `cargo build --package server --package shop`, or run `make demo`",
            shop.display()
        );
    }
    Ok((immune, shop))
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

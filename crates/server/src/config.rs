//! `immune.yaml`: one file, composed of what each part owns.
//!
//! `load` reads it (with `${env:NAME:-default}` filled in) and says what is wrong as
//! `file:line:column`; `schema` prints its JSON schema.

mod load;

mod locate;

mod origin;

mod problems;

mod storage;

use agent::actions::Offer;
use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use load::{LoadError, Problem, load, load_checked, load_with_origins, parse};
pub use origin::{Origin, Origins, Setting};
pub use storage::{Objects, Queries, Storage};

/// The configuration of one server. Everything has a default: an empty file is a good one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bound on the memory of the server: three eighths for receivers, a quarter for what is not in
    /// files yet, an eighth for queries, the rest for the program and what the loop knows. At it
    /// receivers shed load.
    pub memory: receivers::ByteSize,
    pub storage: Storage,
    pub api: Api,
    pub receivers: receivers::Config,
    pub observe: observe::Config,
    pub detect: detect::Config,
    pub diagnose: diagnose::Config,
    pub healing: remediate::Config,
    /// What may be acted upon, and how.
    pub targets: Vec<agent::Target>,
    pub catch_up: engine::config::CatchUp,
    /// Who is told of incidents.
    pub notify: Vec<Receiver>,
    /// Drills that run by themselves.
    pub drills: chaos::schedule::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            memory: receivers::ByteSize::mib(1024),
            storage: Storage::default(),
            api: Api::default(),
            receivers: receivers::Config::default(),
            observe: observe::Config::default(),
            detect: detect::Config::default(),
            diagnose: diagnose::Config::default(),
            healing: remediate::Config::default(),
            targets: Vec::new(),
            catch_up: engine::config::CatchUp::default(),
            notify: Vec::new(),
            drills: chaos::schedule::Config::default(),
        }
    }
}

/// HTTP API and command line access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Address of the API. Only loopback is allowed while no tokens are configured.
    pub listen: std::net::SocketAddr,
    /// Host names, besides loopback, under which the API may be asked.
    pub hosts: Vec<String>,
    /// Origins, besides the API's own, whose pages may ask.
    pub origins: Vec<String>,
    pub tokens: Tokens,
}

impl Default for Api {
    fn default() -> Self {
        Api {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 7700)),
            hosts: Vec::new(),
            origins: Vec::new(),
            tokens: Tokens::default(),
        }
    }
}

/// Bearer tokens. With any of them configured, every request needs one. `admin` may all, `approve`
/// may also read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    pub ingest: Vec<Token>,
    pub read: Vec<Token>,
    pub approve: Vec<Token>,
    pub admin: Vec<Token>,
}

impl Tokens {
    pub fn any(&self) -> bool {
        [&self.ingest, &self.read, &self.approve, &self.admin].iter().any(|list| !list.is_empty())
    }
}

/// A token and whom it stands for in the journal.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub name: String,
    /// At least 16 characters; take it from the environment: `${env:IMMUNE_ADMIN_TOKEN}`.
    pub secret: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A receiver of notifications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    pub name: String,
    pub webhook: Webhook,
}

/// An endpoint that takes Alertmanager's webhook, version 4.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub token: Option<String>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address of a webhook is often a secret itself.
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Config {
    /// The same with every secret covered, to be shown.
    pub fn without_secrets(mut self) -> Config {
        const HIDDEN: &str = "(hidden)";
        let tokens = &mut self.api.tokens;
        let lists = [&mut tokens.ingest, &mut tokens.read, &mut tokens.approve, &mut tokens.admin];
        for token in lists.into_iter().flatten() {
            token.secret = HIDDEN.to_owned();
        }
        if let Some(objects) = &mut self.storage.objects {
            let secret = &mut objects.s3.secret_access_key;
            *secret = secret.take().map(|_| HIDDEN.to_owned());
        }
        for receiver in &mut self.notify {
            let webhook = &mut receiver.webhook;
            webhook.token = webhook.token.take().map(|_| HIDDEN.to_owned());
            webhook.url = match reqwest::Url::parse(&webhook.url) {
                Ok(url) => format!("{}/{HIDDEN}", url.origin().ascii_serialization()),
                Err(_) => HIDDEN.to_owned(),
            };
        }
        for target in &mut self.targets {
            target.cover_secrets(HIDDEN);
        }
        self
    }

    /// What the receivers are told: their own limits, as far as the memory allows.
    pub fn otlp(&self) -> receivers::config::Otlp {
        let mut otlp = self.receivers.otlp.clone();
        otlp.limits = otlp.limits.at_most(&receivers::config::Limits::within(self.eighths(3)));
        otlp
    }

    /// What the store of telemetry is told.
    pub fn store(&self) -> ::storage::store::Config {
        self.storage.store(self.eighths(2).as_usize())
    }

    /// Memory of one query, of those that run at a time.
    pub fn query_bytes(&self, queries: usize) -> u64 {
        self.eighths(1).0 / queries as u64
    }

    fn eighths(&self, eighths: u64) -> receivers::ByteSize {
        receivers::ByteSize(self.memory.0 / 8 * eighths)
    }

    /// What the loop is told.
    pub fn engine(&self) -> engine::Config {
        engine::Config {
            observe: self.observe.clone(),
            detect: self.detect.clone(),
            diagnose: self.diagnose.clone(),
            remediate: self.healing.clone(),
            targets: self.remedy_targets(),
            catch_up: self.catch_up.clone(),
        }
    }

    fn remedy_targets(&self) -> Vec<remediate::Target> {
        self.targets.iter().map(remedy_target).collect()
    }
}

/// A target as the healer knows it: what it is, what it allows, how long that may take.
fn remedy_target(target: &agent::Target) -> remediate::Target {
    let offers = agent::actions::offers(target);
    let longest = offers.iter().map(|offer| offer.timeout).max().unwrap_or_default();
    let undo = |offer: &Offer| offer.undo.clone().map(|undo| (offer.kind.clone(), undo));
    remediate::Target {
        name: target.name.clone(),
        entity: target.entity(),
        undos: offers.iter().filter_map(undo).collect(),
        actions: offers.into_iter().map(|offer| offer.kind).collect(),
        has_process: target.process.is_some(),
        action_timeout: HumanDuration(longest),
        stateful: target.stateful,
    }
}

/// JSON schema of the configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

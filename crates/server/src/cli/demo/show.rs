//! The acts of the demo: all is started, users are well, something happens, and what came of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chaos::Phase;
use model::{Incident, Plan, Timestamp};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::drills::Act;
use super::figures::{self, Evidence, Figures, Played};
use super::files;
use super::layout::Layout;
use super::names::Role;
use super::processes::Processes;
use super::story::Story;
use super::teller::{Teller, Voice};
use super::users::UsersLog;
use crate::cli::ServerArgs;
use crate::cli::client::Client;
use crate::clock;
use crate::drills::Record;

/// The server has to recover nothing; a slow machine gets its time all the same.
const SERVER_WITHIN: Duration = Duration::from_secs(60);
const SHOP_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How often a word is said about users while a drill goes on.
const PULSE_EVERY: Duration = Duration::from_secs(10);
/// A drill bounds itself; should it not, the demo does.
const DRILL_WITHIN: Duration = Duration::from_secs(15 * 60);

pub(super) struct Show {
    teller: Teller,
    layout: Layout,
    processes: Processes,
    seed: Option<u64>,
    client: Client,
    http: reqwest::Client,
    users: UsersLog,
    story: Story,
    healthy_from: Timestamp,
    played: Vec<Played>,
    /// Of all drills so far.
    pub figures: Option<Figures>,
}

impl Show {
    pub(super) fn new(
        teller: Teller,
        layout: Layout,
        processes: Processes,
        seed: Option<u64>,
    ) -> Result<Show> {
        let server = ServerArgs { server: layout.api_url(), token: None, json: false };
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        Ok(Show {
            client: Client::new(&server)?.without_signs(),
            http,
            users: UsersLog::new(&layout.users_log()),
            story: Story::default(),
            healthy_from: Timestamp::ZERO,
            played: Vec::new(),
            figures: None,
            teller,
            layout,
            processes,
            seed,
        })
    }

    /// Starts everything: Immune, the shop, its users.
    pub(super) async fn open(&mut self, acts: &[Act]) -> Result<()> {
        let rate = self.layout.rate;
        self.teller.title("A shop under watch (all times are UTC)")?;
        files::write(&self.layout, acts)?;
        self.start_immune().await?;
        self.start_shop().await?;
        let line = self.layout.users();
        self.processes.start("users", &line, Some(&BTreeMap::new()), &self.layout.log("users"))?;
        self.healthy_from = clock::now();
        let who = match self.seed {
            Some(seed) => format!(" (drawn from seed {seed})"),
            None => String::new(),
        };
        let text = format!(
            "Users come: {rate} sessions per second{who}. They look at products, buy and pay, and \
             write down every request in {}.",
            self.layout.users_log().display()
        );
        self.teller.now(Voice::Users, &text)
    }

    async fn start_immune(&mut self) -> Result<()> {
        let (config, log) = (self.layout.config_file(), self.layout.log("immune"));
        let immune = self.layout.immune.to_string_lossy().into_owned();
        let line =
            [immune, "run".to_owned(), "-c".to_owned(), config.to_string_lossy().into_owned()];
        self.processes.start("immune", &line, None, &log)?;
        let listening = self.layout.storage().join("listening.json");
        let ready = format!("{}/readyz", self.layout.api_url());
        let until = Instant::now() + SERVER_WITHIN;
        loop {
            self.immune_runs()?;
            if listening.is_file() && self.answers(&ready).await && self.agent_connected().await {
                break;
            }
            ensure!(Instant::now() < until, "`immune run` was not ready within 60 s");
            sleep(LOOK_EVERY).await;
        }
        let text = format!(
            "Immune runs: `immune run -c {}`, with its agent as a process of its own. It takes \
             OpenTelemetry on 127.0.0.1:{}.",
            config.display(),
            self.layout.otlp_grpc
        );
        self.teller.now(Voice::Immune, &text)?;
        let api = self.layout.api_url();
        self.teller.point("·", &format!("look at it, in a browser: {api}"))?;
        self.teller.point("·", &format!("ask it: immune status --server {api}"))
    }

    async fn start_shop(&mut self) -> Result<()> {
        let parts = self.layout.parts();
        for part in &parts {
            let environment = Some(&part.environment);
            self.processes.start(&part.name, &part.command, environment, &part.log)?;
        }
        let until = Instant::now() + SHOP_WITHIN;
        for part in &parts {
            while !self.answers(&format!("http://127.0.0.1:{}/healthz", part.port)).await {
                if let Some(status) = self.processes.ended(&part.name) {
                    bail!(died(&part.name, status, &part.log));
                }
                ensure!(Instant::now() < until, "{} was not ready within 30 s", part.name);
                sleep(LOOK_EVERY).await;
            }
        }
        let text = format!(
            "The shop runs, {} processes that know nothing of Immune but where to send \
             OpenTelemetry: {} (the storefront is {}).",
            parts.len(),
            parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", "),
            self.layout.storefront_url()
        );
        self.teller.now(Voice::Demo, &text)?;
        self.who_calls_whom()
    }

    fn who_calls_whom(&self) -> Result<()> {
        let name = |role| self.layout.names.service(role);
        let [gateway, checkout] = [Role::Gateway, Role::Checkout].map(name);
        let [cart, catalog] = [Role::Cart, Role::Catalog].map(name);
        let [inventory, provider] = [Role::Inventory, Role::Provider].map(name);
        if self.seed.is_some() {
            let told = Role::ALL.map(|role| format!("the {} is {}", role.part(), name(role)));
            let told = told.join(", ");
            self.teller.point("·", &format!("names are drawn, and tell Immune nothing: {told}"))?;
        }
        let payments = self.layout.names.instances(Role::Payment).join(" and ");
        self.teller.point(
            "·",
            &format!(
                "{gateway} calls {catalog}, {cart} and {checkout}; {checkout} calls {cart}, \
                 {catalog} and {inventory}"
            ),
        )?;
        self.teller.point(
            "·",
            &format!(
                "{checkout} charges cards through {gateway}, which asks {payments} by turns; so a \
                 failed charge counts there too. They ask {provider}, the card network"
            ),
        )
    }

    /// One drill, with healthy traffic before it.
    pub(super) async fn drill(&mut self, act: &Act) -> Result<()> {
        self.watch_healthy(act.healthy_for).await?;
        let (number, kind, what) = (act.number, act.spec.id, &act.aim.title);
        self.teller.title(&format!("Drill {number}, {kind}: {what}"))?;
        let file = self.layout.experiment_file(number, kind);
        let experiment = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let started: Value = self.client.post_text("drills", &experiment).await?;
        let id = started["drill"].as_u64().context("the server did not number the drill")?;
        let text = format!(
            "Drill {id} is started from {}. It waits until the shop has been well for 10 s. What \
             detects and diagnoses in Immune does not know of it. Right is to {}.",
            file.display(),
            act.aim.right
        );
        self.teller.now(Voice::Demo, &text)?;
        let record = match timeout(DRILL_WITHIN, self.watch_drill(id, act)).await {
            Ok(record) => record?,
            Err(_) => bail!("drill {id} did not end within 15 min"),
        };
        self.score(record, act).await?;
        self.put_back(act).await
    }

    /// What healing took out of rotation is put back by a person, here by the demo.
    async fn put_back(&self, act: &Act) -> Result<()> {
        let Some(instance) = &act.aim.put_back else { return Ok(()) };
        let Some(url) = self.layout.rotation_url(instance) else { return Ok(()) };
        let request = self.http.put(&url).header("content-type", "application/json");
        let answer = request.body(r#"{"state": "active"}"#).send().await;
        answer.and_then(reqwest::Response::error_for_status).context("cannot put it back")?;
        let text = format!("A person looks at {instance} and puts it back into rotation.");
        self.teller.now(Voice::Demo, &text)
    }

    async fn watch_healthy(&mut self, healthy_for: Duration) -> Result<()> {
        self.teller.title("Healthy")?;
        let (from, until) = (clock::now(), Instant::now() + healthy_for);
        while Instant::now() < until {
            self.all_runs()?;
            sleep(TELL_EVERY).await;
        }
        self.users.read()?;
        let count = self.users.count(from, clock::now());
        let (seconds, requests, failed) = (healthy_for.as_secs(), count.requests, count.failed);
        let text =
            format!("In the last {seconds} s users made {requests} requests; {failed} failed.");
        self.teller.now(Voice::Users, &text)?;
        let (incidents, _) = self.look().await?;
        let open = incidents.iter().filter(|incident| incident.resolved.is_none()).count();
        self.teller.now(
            Voice::Immune,
            &match open {
                1 => "1 incident is open.".to_owned(),
                open => format!("{open} incidents are open."),
            },
        )
    }

    /// Tells of the drill until it has its scorecard.
    async fn watch_drill(&mut self, id: u64, act: &Act) -> Result<Record> {
        let mut pulse = Instant::now() + PULSE_EVERY;
        let mut pulsed = clock::now();
        loop {
            self.all_runs()?;
            let record: Record = self.client.get(&format!("drills/{id}")).await?;
            self.users.read()?;
            let (incidents, plans) = self.look().await?;
            let injected = record.fault.injected_at;
            let harmed = injected.and_then(|at| self.users.first_failed(at)).map(|r| r.end());
            self.story.drill(&record, &act.aim, &self.users);
            self.story.incidents(&incidents, &plans, harmed);
            self.story.tell(&self.teller)?;
            if Instant::now() >= pulse {
                pulse += PULSE_EVERY;
                let now = clock::now();
                self.pulse(pulsed, now)?;
                pulsed = now;
            }
            if record.drill.phase == Phase::Done && record.scorecard.is_some() {
                return Ok(record);
            }
            sleep(TELL_EVERY).await;
        }
    }

    /// A word on how users fared between two moments.
    fn pulse(&self, from: Timestamp, to: Timestamp) -> Result<()> {
        let count = self.users.count(from, to);
        let seconds = to.since(from).as_secs_f64().round();
        let text = format!("{} requests in {seconds} s, {} failed.", count.requests, count.failed);
        self.teller.at(to, Voice::Users, &text)
    }

    /// What the drill proved.
    async fn score(&mut self, record: Record, act: &Act) -> Result<()> {
        let (incidents, plans) = self.look().await?;
        let id = record.id;
        let card = record.scorecard.context("a drill that is over has a scorecard")?;
        let own = incidents.iter().find(|incident| Some(incident.id) == card.incident);
        // An incident may be an earlier one that opened again: its symptoms of this drill count.
        let onset = own.and_then(|incident| {
            let noticed = incident.symptoms.iter().filter(|s| Some(s.detected) >= card.injected_at);
            noticed.map(|symptom| symptom.onset).min()
        });
        let finished = clock::now();
        let healthy_from = self.healthy_from;
        self.played.push(Played { act: act.clone(), onset, healthy_from, finished, card });
        self.healthy_from = finished;
        let mut starts = BTreeMap::new();
        for part in self.layout.parts() {
            starts.insert(part.name.clone(), figures::starts(&part)?);
        }
        let evidence =
            Evidence { seed: self.seed, incidents: &incidents, plans: &plans, starts: &starts };
        let figures = figures::figures(&self.played, &evidence);
        let Some(played) = self.played.last() else { return Ok(()) };
        self.teller.title("Proof")?;
        let checks = figures::checks(played, &figures);
        let good = checks.iter().filter(|check| check.good).count();
        for check in &checks {
            let sign = self.teller.good_or_bad(check.good, if check.good { "✓" } else { "✗" });
            self.teller.point(&sign, &check.text)?;
        }
        for failure in &played.card.failures {
            self.teller.point(&self.teller.good_or_bad(false, "!"), failure)?;
        }
        let verdict = format!("{good} of {}", checks.len());
        let verdict = self.teller.good_or_bad(good == checks.len(), &verdict);
        let api = self.layout.api_url();
        self.teller.plain(&format!(
            "\n{:19}{verdict} came true. Again: immune drill score {id} --server {api}",
            ""
        ))?;
        self.figures = Some(figures);
        Ok(())
    }

    /// Goes on until it is interrupted, telling of every incident.
    pub(super) async fn run_on(&mut self) -> Result<()> {
        self.teller.title("Still running; Ctrl-C stops everything")?;
        let (api, dir) = (self.layout.api_url(), self.layout.dir.display().to_string());
        let victim = self.layout.pid_file(&self.layout.names.instances(Role::Payment)[1]);
        let incident = self.played.last().and_then(|played| played.card.incident);
        let incident = incident.map_or(1, |id| id.0);
        for (what, hint) in [
            ("How things are", format!("immune status --server {api}")),
            ("All of that incident", format!("immune explain {incident} --server {api}")),
            ("The same, in a browser", format!("{api}/incidents/{incident}")),
            ("Kill one yourself", format!("kill -9 $(cat {})", victim.display())),
            ("A surge of users", format!("echo 30 > {}", self.layout.rate_file().display())),
            ("The shop, in a browser", self.layout.storefront_url()),
            ("Configuration, logs", dir),
        ] {
            self.teller.plain(&format!("  {what:<24}{}", self.teller.bold(&hint)))?;
        }
        self.teller.plain("")?;
        loop {
            self.all_runs()?;
            let (incidents, plans) = self.look().await?;
            self.story.incidents(&incidents, &plans, None);
            self.story.tell(&self.teller)?;
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Stops everything that was started.
    pub(super) fn close(&mut self) -> Result<()> {
        // Whether or not anybody still reads, everything is stopped first.
        let told = self.teller.plain("\nStopping the users, then Immune, then the shop …");
        let left = self.processes.stop();
        if !left.is_empty() {
            bail!("these would not end: {}; end them by hand", left.join(", "));
        }
        told?;
        let dir = self.layout.dir.display();
        self.teller.plain(&format!("Everything is stopped. Logs and data are in {dir}."))
    }

    async fn look(&self) -> Result<(Vec<Incident>, Vec<Plan>)> {
        let mut incidents: Vec<Incident> = self.client.get("incidents").await?;
        incidents.sort_by_key(|incident| incident.id);
        let mut plans: Vec<Plan> = self.client.get("plans").await?;
        plans.sort_by_key(|plan| plan.id);
        Ok((incidents, plans))
    }

    async fn answers(&self, url: &str) -> bool {
        matches!(self.http.get(url).send().await, Ok(response) if response.status().is_success())
    }

    async fn agent_connected(&self) -> bool {
        let status: Result<Value> = self.client.get("status").await;
        status.is_ok_and(|status| status["agent_connected"] == true)
    }

    pub(super) fn immune_runs(&mut self) -> Result<()> {
        match self.processes.ended("immune") {
            Some(status) => {
                bail!(died("`immune run`", status, &self.layout.log("immune")))
            }
            None => Ok(()),
        }
    }

    /// What nobody restarts must run: the server, the gateway, the users.
    fn all_runs(&mut self) -> Result<()> {
        self.immune_runs()?;
        for name in [self.layout.names.service(Role::Gateway), "users"] {
            if let Some(status) = self.processes.ended(name) {
                bail!(died(name, status, &self.layout.log(name)));
            }
        }
        Ok(())
    }
}

/// That something ended, and what it said last, unless it was killed and could not say why.
fn died(name: &str, status: ExitStatus, log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) if status.code().is_some() => {
            format!("{name} ended with {status}; its log ends with: {}", line.trim())
        }
        _ => format!("{name} ended with {status}"),
    }
}

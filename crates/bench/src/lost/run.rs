//! One run: a server that is started and cut off again and again, under load.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::answers::Answers;
use super::bucket::Bucket;
use super::cuts::{self, Cut};
use super::known::Known;
use super::load::{Load, Pace, Sent};
use crate::api::Api;
use crate::disk::{Disk, Taken};
use crate::programs::Programs;
use crate::serving::{Leftovers, Listening, Server};

/// The agent ends within this time once it is killed.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const FULL_FOR: Duration = Duration::from_millis(1_500);
/// How a server says so.
const STATE_LOST: &str = "no snapshot can be used and the log begins at";
/// From the first byte of a snapshot to the end of what follows it.
const SNAPSHOT_TAKES: Duration = Duration::from_millis(500);
/// Telemetry that is dated a little off is in what is asked for, too.
const MARGIN: Duration = Duration::from_secs(60);

/// What a run is made of.
pub struct Plan {
    pub folder: PathBuf,
    pub seed: u64,
    pub on_disk: bool,
    pub with_bucket: bool,
    /// All cuts are of this kind.
    pub only: Option<Cut>,
    /// A file of the disk that is damaged at each power cut.
    pub damaged: Option<&'static str>,
}

/// What a run gathers as it goes.
pub struct Run {
    pub programs: Programs,
    folder: PathBuf,
    generator: StdRng,
    pub load: Load,
    pub known: Known,
    pub starts_s: Vec<f64>,
    pub cuts: [u32; Cut::ALL.len()],
    pub disk: Option<Disk>,
    pub taken: Taken,
    pub times_full: u32,
    only: Option<Cut>,
    damaged: Option<&'static str>,
    pub bucket: Option<Bucket>,
    begun: Timestamp,
    leftovers: Leftovers,
}

/// What the server answered in the end.
pub struct Ended {
    pub sent: Sent,
    pub answers: Answers,
    /// The data folder of the stopped server, where it may be read in any way.
    pub data: PathBuf,
    /// What the server did with its files since its last start.
    pub storage: Value,
}

impl Run {
    pub async fn begin(plan: Plan) -> Result<Run> {
        let Plan { folder, seed, on_disk, with_bucket, only, damaged } = plan;
        std::fs::create_dir_all(&folder)?;
        let disk = if on_disk { Some(Disk::mount(&folder.join("disk"), seed)?) } else { None };
        let bucket = match with_bucket {
            true => Bucket::start(&folder.join("bucket")).await?,
            false => None,
        };
        let configuration = configuration(on_disk, bucket.as_ref());
        std::fs::write(folder.join("immune.yaml"), format!("{configuration:#}\n"))?;
        let data = data_in(&folder, disk.as_ref());
        Ok(Run {
            programs: Programs::find()?,
            generator: StdRng::seed_from_u64(seed),
            load: Load::start(Pace { ballast: on_disk, ..Pace::default() }),
            known: Known::default(),
            starts_s: Vec::new(),
            cuts: [0; Cut::ALL.len()],
            leftovers: Leftovers::of(&data),
            taken: Taken::default(),
            times_full: 0,
            only,
            damaged,
            begun: server::clock::now(),
            folder,
            disk,
            bucket,
        })
    }

    fn data(&self) -> PathBuf {
        data_in(&self.folder, self.disk.as_ref())
    }

    /// Did a start say that what the loop had learnt is gone?
    pub fn state_was_lost(&self) -> Result<bool> {
        Ok(std::fs::read_to_string(self.folder.join("immune.log"))?.contains(STATE_LOST))
    }

    fn spawn(&self) -> Result<Server> {
        let (config, log) = (self.folder.join("immune.yaml"), self.folder.join("immune.log"));
        Server::spawn(&self.programs, &config, &self.data(), &log)
    }

    /// Starts the server and cuts it off, once.
    pub async fn cut(&mut self) -> Result<Cut> {
        let server = self.spawn()?;
        let drawn = Cut::draw(&mut self.generator);
        let cut = self.only.unwrap_or(drawn);
        if let (Cut::Starting, Some(start_s)) = (cut, self.starts_s.last()) {
            let delay = self.generator.random_range(0.0..start_s * 1.1);
            sleep(Duration::from_secs_f64(delay)).await;
            return self.end(server, Cut::Starting).await;
        }
        let (server, listening) = self.wait_ready(server).await?;
        let cut = match cut {
            Cut::Saving => {
                let delay = Duration::from_micros(self.generator.random_range(0..4_000));
                // After the second, the log is trimmed in the belief that the first is there.
                for _ in 1..self.generator.random_range(1..=3) {
                    cuts::wait_for_saving(&self.data(), SNAPSHOT_TAKES).await?;
                }
                cuts::wait_for_saving(&self.data(), delay).await?;
                Cut::Saving
            }
            Cut::Storing => {
                // Most soon after the first change, some where merging and deleting go on.
                let longest = if self.generator.random_bool(0.6) { 50_000 } else { 3_000_000 };
                let delay = Duration::from_micros(self.generator.random_range(0..longest));
                cuts::wait_for_storing(&self.data(), delay).await?;
                Cut::Storing
            }
            // How long a start takes is not known before the first.
            Cut::Loaded | Cut::Starting => {
                let delay = self.generator.random_range(0.1..2.5);
                sleep(Duration::from_secs_f64(delay)).await;
                self.fill_disk().await;
                self.known.note(&Api::new(listening.api)?).await?;
                Cut::Loaded
            }
        };
        self.end(server, cut).await
    }

    /// Kills the server; on a disk that forgets, the power goes with it.
    async fn end(&mut self, server: Server, cut: Cut) -> Result<Cut> {
        let place = Cut::ALL.iter().position(|known| *known == cut);
        self.cuts[place.expect("ALL holds every kind of cut")] += 1;
        server.kill().await?;
        self.load.aim(None);
        self.cut_power().await?;
        Ok(cut)
    }

    /// Now and then there is hardly any space left, for a moment.
    async fn fill_disk(&mut self) {
        let Some(disk) = &self.disk else { return };
        if self.generator.random_bool(0.5) {
            return;
        }
        disk.leave_free(Some(self.generator.random_range(0..2_000_000)));
        sleep(FULL_FOR).await;
        disk.leave_free(None);
        self.times_full += 1;
    }

    async fn cut_power(&mut self) -> Result<()> {
        let deadline = Instant::now() + GONE_WITHIN;
        while self.disk.is_some() {
            // The agent would have lost its power as well; one may be about to begin.
            self.kill_agent().await?;
            let Some(disk) = &mut self.disk else { break };
            if let Some(taken) = disk.power_cut()? {
                self.taken.files_changed += taken.files_changed;
                self.taken.changes_of_names += taken.changes_of_names;
                if let Some(damaged) = self.damaged {
                    disk.damage(damaged)?;
                }
                break;
            }
            if Instant::now() > deadline {
                bail!("somebody has files open in {}", disk.at().display());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn kill_agent(&self) -> Result<()> {
        let deadline = Instant::now() + GONE_WITHIN;
        while let Some(agent) = self.leftovers.agent() {
            rustix::process::kill_process(agent, rustix::process::Signal::KILL).ok();
            if Instant::now() > deadline {
                bail!("the agent does not end");
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits for a start, sends the load there, and asks whether everything is still known.
    async fn wait_ready(&mut self, mut server: Server) -> Result<(Server, Listening)> {
        let listening = server.ready().await?;
        self.starts_s.push(server.spawned().elapsed().as_secs_f64());
        self.load.aim(Some(listening));
        self.known.check(&Api::new(listening.api)?).await?;
        Ok((server, listening))
    }

    /// A last start, a look at everything, and an end in order.
    pub async fn finish(mut self) -> Result<(Run, Ended)> {
        let server = self.spawn()?;
        let (server, listening) = self.wait_ready(server).await?;
        sleep(Duration::from_secs(1)).await;
        let api = Api::patient(listening.api)?;
        self.known.note(&api).await?;
        self.load.aim(None);
        let stopped = std::mem::replace(&mut self.load, Load::none());
        let sent = stopped.stop().await?;
        eprintln!("asking for {} items", sent.numbered);
        let (from, to) = (self.begun - MARGIN, server::clock::now() + MARGIN);
        let answers = Answers::ask(&api, from, to, sent.numbered).await?;
        let storage = api.get("storage").await.context("the server does not tell of its files")?;
        server.stop().await?;
        self.kill_agent().await?;
        let mut data = self.data();
        if self.disk.is_some() {
            let copy = self.folder.join("immune-copy");
            Disk::copy(&data, &copy)?;
            data = copy;
        }
        Ok((self, Ended { sent, answers, data, storage }))
    }
}

fn data_in(folder: &Path, disk: Option<&Disk>) -> PathBuf {
    disk.map_or(folder, Disk::at).join("immune")
}

/// Ordinary settings, but for free ports, frequent snapshots and incidents that end soon, so that a
/// short run has several; on a disk that forgets also all sizes small, so that files are written,
/// merged, deleted and uploaded all the time.
fn configuration(small: bool, bucket: Option<&Bucket>) -> Value {
    let mut configuration = json!({
        "storage": {
            "snapshot_every": "5s",
            "queries": { "timeout": "60s" },
        },
        "api": { "listen": "127.0.0.1:0" },
        "receivers": { "otlp": { "grpc": "127.0.0.1:0", "http": "127.0.0.1:0" } },
        "detect": { "clear_after": "10s" },
        "diagnose": { "reopen_within": "1s" },
    });
    if small {
        configuration["memory"] = "256MiB".into();
        let storage = &mut configuration["storage"];
        storage["file_size"] = "1MiB".into();
        storage["log_size_max"] = "8MiB".into();
        // Ballast of yesterday goes before what is counted.
        storage["traces"] = json!({ "keep": "14d", "size_max": "48MiB" });
    }
    if let Some(bucket) = bucket {
        configuration["storage"]["objects"] = bucket.configuration();
    }
    configuration
}

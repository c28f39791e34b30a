//! `bench capture`: what real systems send, kept to be sent again.
//!
//! The polyglot system (Node and Python with stock auto-instrumentation) and the shop (the Rust
//! SDK) run under users' load; the product's own receivers take what they export and write the
//! bodies into a folder (`telemetry::folder`). Nothing is changed in them or left out. SDKs export
//! metrics every 60 s, so a capture lasts some minutes.

mod receiver;

mod shop;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use model::human::HumanDuration;
use serde_json::json;
use tokio::time::sleep;

use crate::figures::Outcome;
use crate::polyglot::system::{self, System};
use crate::polyglot::users::Users;
use crate::programs::{Programs, Workplace, make_reachable};
use receiver::Receiver;

const TELL_EVERY: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct Capture {
    /// Folder to write to: empty, or not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the systems run under load
    #[arg(long, default_value = "6m", value_parser = HumanDuration::parse)]
    lasts: HumanDuration,
    /// Sessions a second that users of each system begin
    #[arg(long, default_value_t = 8.0)]
    rate: f64,
    /// The same seed gives the same users
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Capture {
    pub async fn run(self) -> Result<Outcome> {
        system::prepare().await?;
        let programs = Programs::find()?;
        let workplace = Workplace::new(None, false)?;
        let folder = workplace.path();
        make_reachable(folder)?;
        let receiver = Receiver::start(&self.out).await?;
        let [http, grpc] = receiver.ports();
        eprintln!("starting both systems");
        let system = System::up(&folder.join("system"), [http, grpc], 1, false).await?;
        let front = system.description()?.front_url;
        let shop = shop::Shop::start(&programs, &folder.join("shop"), grpc).await?;
        let visitors = folder.join("visitors");
        std::fs::create_dir_all(&visitors)?;
        let users = Users::start(&programs, folder, &front, self.rate, self.seed)?;
        let shoppers = shop.users(&programs, &visitors, self.rate, self.seed)?;
        let mut left = self.lasts.0;
        while !left.is_zero() {
            let step = left.min(TELL_EVERY);
            sleep(step).await;
            left -= step;
            let (count, bytes) = receiver.written();
            eprintln!("{} s to go: {count} requests, {bytes} bytes", left.as_secs());
        }
        // A polite end lets the SDKs send what they have left.
        users.stop().await?;
        drop(shoppers);
        shop.stop().await?;
        system.down().await?;
        let (count, bytes) = receiver.stop()?;
        Ok(Outcome::new(json!({
            "bench": "capture",
            "dir": self.out,
            "requests": count,
            "bytes": bytes,
            "lasted_s": self.lasts.0.as_secs(),
            "rate": self.rate,
            "seed": self.seed,
        })))
    }
}

/// Where this program keeps what takes long to make.
pub fn cache() -> Result<PathBuf> {
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Ok(home.context("neither HOME nor XDG_CACHE_HOME is set")?.join("immune"))
}

/// The folder that was asked for, or the cached capture, which is made when it is not there.
pub async fn given_or_made(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let made = cache()?.join("capture");
    if made.join("index.jsonl").exists() {
        return Ok(made);
    }
    // Made beside its place, so that an interrupted capture is not taken for a whole one.
    let part = cache()?.join(format!("capture-{}", std::process::id()));
    eprintln!("there is no capture yet; making one in {}, which takes minutes", made.display());
    let lasts = HumanDuration::from_secs(360);
    let capture = Capture { out: part.clone(), lasts, rate: 8.0, seed: 1 };
    Box::pin(capture.run()).await?;
    std::fs::rename(&part, &made).with_context(|| format!("cannot name {}", made.display()))?;
    Ok(made)
}

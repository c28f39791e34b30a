//! `shop switch`: an operator's hand on the [`crate::switches`] of a running part.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::switches::{Settings, Shown};
use crate::transport::{Transport, Upstream};

/// A part that leaks looks through all of it before it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// `shop switch`
#[derive(Debug, clap::Args)]
pub struct SwitchArgs {
    /// The part, as http://HOST:PORT
    #[arg(value_name = "URL")]
    part: Upstream,
    /// Milliseconds that a request waits
    #[arg(long, value_name = "MS")]
    slow_ms: Option<u64>,
    /// Share of the requests that wait, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "slow_ms")]
    slow_share: Option<f64>,
    /// KiB that each request leaves in memory
    #[arg(long, value_name = "KIB")]
    leak_kib: Option<usize>,
    /// Switch all off; a leak is given back
    #[arg(long, conflicts_with_all = ["slow_ms", "leak_kib", "is_on"])]
    off: bool,
    /// End with 0 where something is switched on or leaked, with 1 where nothing is
    #[arg(long, conflicts_with_all = ["slow_ms", "leak_kib"])]
    is_on: bool,
}

/// Asks the part, or tells it.
pub async fn run(args: SwitchArgs) -> anyhow::Result<()> {
    let off = Settings::default();
    let wanted = Settings {
        slow_ms: args.slow_ms.unwrap_or(off.slow_ms),
        slow_share: args.slow_share.unwrap_or(off.slow_share),
        leak_kib: args.leak_kib.unwrap_or(off.leak_kib),
    };
    if args.is_on {
        let shown = exchange(&args.part, Method::GET, Bytes::new()).await?;
        if shown.settings.slow_ms == 0 && shown.leaked_bytes == 0 {
            bail!("nothing is switched on, or nothing came of it yet");
        }
        println!("{}", told(&shown));
        return Ok(());
    }
    if wanted == off && !args.off {
        bail!("say --slow-ms, --leak-kib, --off or --is-on");
    }
    let body = serde_json::to_vec(&wanted).context("write the switches")?;
    let shown = exchange(&args.part, Method::PUT, body.into()).await?;
    println!("{}", told(&shown));
    Ok(())
}

async fn exchange(part: &Upstream, method: Method, body: Bytes) -> anyhow::Result<Shown> {
    let url = part.url("/admin/switches").context("write the URL")?;
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .context("write the request")?;
    let answer = Transport::new().exchange(request, PATIENCE).await;
    let answer = answer.with_context(|| format!("ask {part}"))?;
    if answer.status() != StatusCode::OK {
        let said = String::from_utf8_lossy(answer.body());
        bail!("{part} answered {}: {said}", answer.status().as_u16());
    }
    serde_json::from_slice(answer.body()).with_context(|| format!("read what {part} answered"))
}

fn told(shown: &Shown) -> String {
    let Settings { slow_ms, slow_share, leak_kib } = &shown.settings;
    let leaked = shown.leaked_bytes;
    format!(
        "slow by {slow_ms} ms for a share of {slow_share}, leaks {leak_kib} KiB a request, \
         {leaked} bytes so far"
    )
}

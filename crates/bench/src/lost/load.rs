//! Four connections that send numbered items for as long as a server is there: OTLP/HTTP and
//! OTLP/gRPC, two each. An item is sent once; what the server acknowledged is noted, request by
//! request, before the next is sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::Timestamp;
use model::signal::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceResponse, metrics_service_client::MetricsServiceClient,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::items::{self, Numbers};
use crate::serving::Listening;

/// A request that is not answered within this time counts as not acknowledged.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Trouble and quiet take turns, so that incidents open and end.
const TROUBLE: Duration = Duration::from_secs(8);
const QUIET: Duration = Duration::from_secs(14);

const BALLAST_REST: Duration = Duration::from_millis(100);

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub items_per_request: u64,
    /// Each connection rests this long after each answer.
    pub rest: Duration,
    /// Are there times of failing requests?
    pub trouble: bool,
    /// Is there more beside, for files that are deleted?
    pub ballast: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            items_per_request: 20,
            rest: Duration::from_millis(15),
            trouble: true,
            ballast: false,
        }
    }
}

/// The running load.
#[derive(Debug)]
pub struct Load {
    aim: watch::Sender<Option<Listening>>,
    tally: Arc<Tally>,
    senders: JoinSet<Result<()>>,
}

/// What was sent in the end.
#[derive(Debug)]
pub struct Sent {
    /// Numbers 1 to this were given out.
    pub numbered: u64,
    pub acknowledged: Vec<Numbers>,
}

#[derive(Debug, Default)]
struct Tally {
    numbered: AtomicU64,
    acknowledged: Mutex<Vec<Numbers>>,
}

impl Tally {
    fn take(&self, count: u64) -> Numbers {
        Numbers { first: self.numbered.fetch_add(count, Ordering::Relaxed) + 1, count }
    }

    fn acknowledge(&self, numbers: Numbers) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(numbers);
    }
}

impl Load {
    pub fn start(pace: Pace) -> Load {
        let (aim, aimed) = watch::channel(None);
        let tally = Arc::new(Tally::default());
        let mut senders = JoinSet::new();
        for _ in 0..2 {
            senders.spawn(send_over_http(aimed.clone(), tally.clone(), pace));
            senders.spawn(send_over_grpc(aimed.clone(), tally.clone(), pace));
        }
        if pace.ballast {
            senders.spawn(send_ballast(aimed));
        }
        Load { aim, tally, senders }
    }

    /// One that sends nothing.
    pub fn none() -> Load {
        let (aim, _) = watch::channel(None);
        Load { aim, tally: Arc::default(), senders: JoinSet::new() }
    }

    /// Where to send from now on; `None`: nowhere.
    pub fn aim(&self, at: Option<Listening>) {
        self.aim.send_replace(at);
    }

    /// How many numbers were given out.
    pub fn numbered(&self) -> u64 {
        self.tally.numbered.load(Ordering::Relaxed)
    }

    pub fn acknowledged(&self) -> u64 {
        let acknowledged = self.tally.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.iter().map(|numbers| numbers.count).sum()
    }

    /// Ends all senders; fails if one met what must not be.
    pub async fn stop(self) -> Result<Sent> {
        let Load { aim, tally, mut senders } = self;
        drop(aim);
        while let Some(ended) = senders.join_next().await {
            ended.context("a sender panicked")??;
        }
        let mut acknowledged = tally.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Sent {
            numbered: tally.numbered.load(Ordering::Relaxed),
            acknowledged: std::mem::take(&mut acknowledged),
        })
    }
}

/// Waits for a server other than `last`. `None` when the load ends.
async fn next_server(
    aimed: &mut watch::Receiver<Option<Listening>>,
    last: Option<Listening>,
) -> Option<Listening> {
    let at = aimed.wait_for(|at| at.is_some() && *at != last).await.ok()?;
    *at
}

async fn send_over_http(
    mut aimed: watch::Receiver<Option<Listening>>,
    tally: Arc<Tally>,
    pace: Pace,
) -> Result<()> {
    let mut at = None;
    while let Some(server) = next_server(&mut aimed, at).await {
        at = Some(server);
        // A new client for a new server: no connection of the old one is taken for it.
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        let base = format!("http://{}/v1", server.otlp_http);
        for signal in Signal::ALL.iter().cycle() {
            if *aimed.borrow() != at || aimed.has_changed().is_err() {
                break;
            }
            let numbers = tally.take(pace.items_per_request);
            let request = client
                .post(format!("{base}/{}", signal.as_str()))
                .header("content-type", "application/x-protobuf")
                .body(encoded(*signal, numbers, pace));
            let Ok(answer) = request.send().await else { break };
            if answer.status() == reqwest::StatusCode::OK
                && let Ok(body) = answer.bytes().await
            {
                let rejected = rejected(*signal, &body)?;
                ensure!(rejected == 0, "{rejected} good items of {signal:?} were rejected");
                tally.acknowledge(numbers);
            }
            sleep(pace.rest).await;
        }
    }
    Ok(())
}

/// Not counted, and not missed.
async fn send_ballast(mut aimed: watch::Receiver<Option<Listening>>) -> Result<()> {
    let mut generator = StdRng::seed_from_u64(0);
    let mut at = None;
    while let Some(server) = next_server(&mut aimed, at).await {
        at = Some(server);
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        while *aimed.borrow() == at && aimed.has_changed().is_ok() {
            let body = items::ballast(server::clock::now(), &mut generator).encode_to_vec();
            let request = client
                .post(format!("http://{}/v1/traces", server.otlp_http))
                .header("content-type", "application/x-protobuf")
                .body(body);
            if request.send().await.is_err() {
                break;
            }
            sleep(BALLAST_REST).await;
        }
    }
    Ok(())
}

async fn send_over_grpc(
    mut aimed: watch::Receiver<Option<Listening>>,
    tally: Arc<Tally>,
    pace: Pace,
) -> Result<()> {
    let mut at = None;
    while let Some(server) = next_server(&mut aimed, at).await {
        at = Some(server);
        let url = format!("http://{}", server.otlp_grpc);
        let (Ok(mut traces), Ok(mut metrics), Ok(mut logs)) = (
            TraceServiceClient::connect(url.clone()).await,
            MetricsServiceClient::connect(url.clone()).await,
            LogsServiceClient::connect(url).await,
        ) else {
            continue;
        };
        for signal in Signal::ALL.iter().cycle() {
            if *aimed.borrow() != at || aimed.has_changed().is_err() {
                break;
            }
            let (numbers, now) = (tally.take(pace.items_per_request), server::clock::now());
            let export = async {
                let rejected = match signal {
                    Signal::Traces => {
                        let request = items::spans(numbers, now, pace.failing(now));
                        let answer = traces.export(request).await?.into_inner();
                        answer.partial_success.map_or(0, |partial| partial.rejected_spans)
                    }
                    Signal::Metrics => {
                        let answer = metrics.export(items::points(numbers, now)).await?;
                        let partial = answer.into_inner().partial_success;
                        partial.map_or(0, |partial| partial.rejected_data_points)
                    }
                    Signal::Logs => {
                        let answer = logs.export(items::records(numbers, now)).await?;
                        let partial = answer.into_inner().partial_success;
                        partial.map_or(0, |partial| partial.rejected_log_records)
                    }
                };
                anyhow::Ok(rejected)
            };
            let Ok(Ok(rejected)) = timeout(ANSWER_WITHIN, export).await else { break };
            ensure!(rejected == 0, "{rejected} good items of {signal:?} were rejected");
            tally.acknowledge(numbers);
            sleep(pace.rest).await;
        }
    }
    Ok(())
}

impl Pace {
    fn failing(self, now: Timestamp) -> bool {
        let turn = TROUBLE + QUIET;
        self.trouble && now.since(now.floor_to(turn)) < TROUBLE
    }
}

fn encoded(signal: Signal, numbers: Numbers, pace: Pace) -> Vec<u8> {
    let now = server::clock::now();
    match signal {
        Signal::Traces => items::spans(numbers, now, pace.failing(now)).encode_to_vec(),
        Signal::Metrics => items::points(numbers, now).encode_to_vec(),
        Signal::Logs => items::records(numbers, now).encode_to_vec(),
    }
}

/// How many items an answer over HTTP says were rejected.
fn rejected(signal: Signal, body: &[u8]) -> Result<i64> {
    Ok(match signal {
        Signal::Traces => ExportTraceServiceResponse::decode(body)?
            .partial_success
            .map_or(0, |partial| partial.rejected_spans),
        Signal::Metrics => ExportMetricsServiceResponse::decode(body)?
            .partial_success
            .map_or(0, |partial| partial.rejected_data_points),
        Signal::Logs => ExportLogsServiceResponse::decode(body)?
            .partial_success
            .map_or(0, |partial| partial.rejected_log_records),
    })
}

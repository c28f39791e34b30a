//! The user's Python, out of process: one worker that calls functions and controls.
//!
//! It is started when first needed, speaks JSON lines, is bounded in what it may answer, and dies
//! with the run. Its script is part of this program (`worker.py`).

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::raise::{Failure, Raise};
use crate::signals::{Signal, Signals};
use crate::value::{Map, Value};

const SCRIPT: &str = include_str!("worker.py");
/// A line of the worker: its own limit is 16 Mi characters, each at most six bytes of JSON.
const LINE_BYTES_MAX: u64 = 6 * (16 << 20) + 4096;
/// After a signal, a strict run waits this long for Python to let go.
const LET_GO: Duration = Duration::from_secs(5);

/// On which of the worker's threads a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// The main one, where signals interrupt: the run's foreground.
    Main,
    /// One of its own: background activities, the continuous hypothesis.
    Own,
}

pub struct Worker {
    interpreter: String,
    environment: Vec<(String, String)>,
    signals: Signals,
    /// Whether a signal ends the run even where Python code swallows it.
    insist: bool,
    live: tokio::sync::Mutex<Option<Live>>,
    asked: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next_id: AtomicU64,
}

struct Live {
    child: Child,
    requests: ChildStdin,
}

impl Worker {
    pub fn new(
        interpreter: String,
        environment: Vec<(String, String)>,
        signals: Signals,
        insist: bool,
    ) -> Worker {
        Worker {
            interpreter,
            environment,
            signals,
            insist,
            live: tokio::sync::Mutex::default(),
            asked: Arc::default(),
            next_id: AtomicU64::new(1),
        }
    }

    pub fn interpreter(&self) -> String {
        self.interpreter.clone()
    }

    /// Asks for an operation and waits for its answer.
    pub async fn call(
        &self,
        thread: Thread,
        operation: &str,
        fields: Map,
    ) -> Result<Value, Failure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut request = fields;
        request.insert("id".to_owned(), Value::Int(i128::from(id)));
        request.insert("op".to_owned(), Value::text(operation));
        let name = if thread == Thread::Main { "main" } else { "own" };
        request.insert("thread".to_owned(), Value::text(name));
        let (tell, told) = oneshot::channel();
        self.asked().insert(id, tell);
        if let Err(problem) = self.send(&Value::Map(request)).await {
            self.asked().remove(&id);
            return Err(Raise::Error(problem).into());
        }
        let answer = match thread {
            Thread::Main => self.wait_on_main(told).await?,
            Thread::Own => told.await.ok(),
        };
        let answer = answer.ok_or_else(|| Raise::Error("the Python worker died".to_owned()))?;
        match answer.get("raised") {
            None => Ok(answer.get("ok").cloned().unwrap_or_default()),
            Some(raised) => Err(failure(raised)),
        }
    }

    /// Waits for an answer; signals that come are passed on to the call.
    async fn wait_on_main(
        &self,
        mut told: oneshot::Receiver<Value>,
    ) -> Result<Option<Value>, Raise> {
        let mut passed_on = None;
        loop {
            let let_go = async {
                match passed_on {
                    Some(_) if self.insist => tokio::time::sleep(LET_GO).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                answer = &mut told => {
                    return match passed_on {
                        Some(signal) if self.insist => Err(Signal::raise(signal)),
                        _ => Ok(answer.ok()),
                    };
                }
                signal = self.signals.next() => {
                    passed_on = Some(signal);
                    self.pass_on(signal).await;
                }
                () = let_go => {
                    self.kill().await;
                    let raise = passed_on.map_or(Raise::Keyboard, Signal::raise);
                    return Err(raise);
                }
            }
        }
    }

    async fn pass_on(&self, signal: Signal) {
        let live = self.live.lock().await;
        let pid = live.as_ref().and_then(|live| live.child.id());
        // The child is not reaped yet, so its number is nobody else's.
        if let Some(pid) = pid.and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
            let _ = rustix::process::kill_process(pid, signal.number());
        }
    }

    /// Raises in what still runs in the background.
    pub async fn exit_background(&self) {
        if self.live.lock().await.is_some() {
            let request = [("op", "exit_background".into()), ("thread", "own".into())];
            let _ = self.send(&Value::from(request)).await;
        }
    }

    /// Ends the worker, and what it is in the middle of.
    pub async fn kill(&self) {
        if let Some(mut live) = self.live.lock().await.take() {
            let _ = live.child.kill().await;
        }
        self.asked().clear();
    }

    async fn send(&self, request: &Value) -> Result<(), String> {
        let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let mut live = self.live.lock().await;
        if live.is_none() {
            *live = Some(self.start()?);
        }
        let Some(live) = live.as_mut() else { return Err("no Python worker".to_owned()) };
        let sent = live.requests.write_all(&line).await;
        sent.map_err(|error| format!("the Python worker does not listen: {error}"))
    }

    fn start(&self) -> Result<Live, String> {
        let mut child = Command::new(&self.interpreter)
            .args(["-u", "-c", SCRIPT])
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let interpreter = &self.interpreter;
                format!("cannot start Python (`{interpreter}`): {error}; name one with --python")
            })?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the Python worker has no pipes".to_owned());
        };
        tokio::spawn(read(answers, self.asked.clone(), self.signals.clone()));
        Ok(Live { child, requests })
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Value>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands answers to those who asked, until the worker's end.
async fn read(
    answers: ChildStdout,
    asked: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    signals: Signals,
) {
    let asked = || asked.lock().unwrap_or_else(PoisonError::into_inner);
    let mut answers = BufReader::new(answers);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut answers).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
            break;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(&line) else { break };
        if let Some(signal) = answer.get_str("signal").and_then(Signal::by_name) {
            signals.push(signal);
        }
        if let Some(Value::Int(id)) = answer.get("id")
            && let Some(tell) = u64::try_from(*id).ok().and_then(|id| asked().remove(&id))
        {
            // Whoever asked may have given up meanwhile.
            let _ = tell.send(answer);
        }
    }
    asked().clear();
}

fn failure(raised: &Value) -> Failure {
    let text = raised.get_str("text").unwrap_or_default().to_owned();
    match raised.get_str("kind") {
        Some("failed") => Failure::Activity(text),
        Some("interrupt") => Raise::Interrupt(text).into(),
        Some("keyboard") => Raise::Keyboard.into(),
        Some("exit") => {
            let code = raised.get("code").and_then(Value::as_number).unwrap_or(1.0);
            Raise::Exit(code as i32).into()
        }
        _ => Raise::Error(text).into(),
    }
}

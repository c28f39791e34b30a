//! The server's end: keeps a connection to the agent, gives orders, passes on what the agent says.
//!
//! Orders never wait and never queue for an agent that is away: `perform` fails at once, and the
//! server may say `not_run`. An order that was taken may still be lost with the connection, so
//! after every `Connected` ask with `query` for each action in flight; `Unknown` then means that it
//! was not and will not be run. The client does not start the agent: see [`spawn`].

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use model::human::HumanDuration;
use model::{Action, ActionId};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, timeout};

use crate::config::Target;
use crate::frames::FrameReader;
use crate::protocol::{
    FaultId, Freeze, FromAgent, Hello, Injection, ToAgent, Welcome, decode, encode,
};
use crate::{launch, socket, store};

/// Events that wait for the server; a server that does not read them stops reading the agent.
const EVENTS_MAX: usize = 1_024;
const ORDERS_MAX: usize = 256;
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// The agent reports each second; silent for this long it is taken for dead.
const SILENT_MAX: Duration = Duration::from_secs(10);
const WRITE_WITHIN: Duration = Duration::from_secs(5);
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub socket: PathBuf,
    pub targets: Vec<Target>,
    /// Silence of this server after which the agent undoes faults.
    pub lease: HumanDuration,
}

/// What the server hears.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// The agent knows the targets and takes orders from now on. Now query what is in flight, and
    /// freeze or thaw if the agent's freeze is not the server's.
    Connected(Welcome),
    /// Orders are not taken from now on.
    Disconnected { reason: String },
    /// Anything that the agent says after its welcome.
    Message(FromAgent),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error("the agent is not connected")]
    NotConnected,
    #[error("{ORDERS_MAX} orders wait to be sent to the agent")]
    Busy,
}

/// Handle of the server; cheap to clone. The connection ends with the last one.
#[derive(Clone, Debug)]
pub struct Client {
    orders: mpsc::Sender<ToAgent>,
    hello: watch::Sender<Hello>,
    connected: watch::Receiver<bool>,
}

impl Client {
    /// Begins to connect in a task of the current tokio runtime.
    pub fn start(config: ClientConfig) -> (Client, mpsc::Receiver<ClientEvent>) {
        let (orders, orders_inbox) = mpsc::channel(ORDERS_MAX);
        let (events, events_inbox) = mpsc::channel(EVENTS_MAX);
        let (hello, hello_inbox) =
            watch::channel(Hello { targets: config.targets, lease: config.lease });
        let (connected_flag, connected) = watch::channel(false);
        let task = Task {
            socket: config.socket,
            orders: orders_inbox,
            hello: hello_inbox,
            connected: connected_flag,
            events,
        };
        tokio::spawn(task.run());
        (Client { orders, hello, connected }, events_inbox)
    }

    pub fn connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Other targets from now on.
    pub fn set_targets(&self, targets: Vec<Target>) {
        self.hello.send_modify(|hello| hello.targets = targets);
    }

    pub fn perform(&self, action: Action) -> Result<(), ClientError> {
        self.order(ToAgent::Perform(action))
    }

    pub fn query(&self, id: ActionId) -> Result<(), ClientError> {
        self.order(ToAgent::Query(id))
    }

    pub fn inject(&self, injection: Injection) -> Result<(), ClientError> {
        self.order(ToAgent::Inject(injection))
    }

    /// What would this injection do? Nothing is done.
    pub fn aim(&self, injection: Injection) -> Result<(), ClientError> {
        self.order(ToAgent::Aim(injection))
    }

    pub fn undo(&self, id: FaultId) -> Result<(), ClientError> {
        self.order(ToAgent::Undo(id))
    }

    /// End every fault now.
    pub fn undo_all(&self) -> Result<(), ClientError> {
        self.order(ToAgent::UndoAll)
    }

    pub fn query_fault(&self, id: FaultId) -> Result<(), ClientError> {
        self.order(ToAgent::QueryFault(id))
    }

    pub fn freeze(&self, freeze: Freeze) -> Result<(), ClientError> {
        self.order(ToAgent::Freeze(freeze))
    }

    pub fn thaw(&self, who: &str) -> Result<(), ClientError> {
        self.order(ToAgent::Thaw { who: who.to_owned() })
    }

    /// Undo every fault, finish what is under way, exit.
    pub fn stop(&self) -> Result<(), ClientError> {
        self.order(ToAgent::Stop)
    }

    fn order(&self, message: ToAgent) -> Result<(), ClientError> {
        if !self.connected() {
            return Err(ClientError::NotConnected);
        }
        self.orders.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ClientError::Busy,
            mpsc::error::TrySendError::Closed(_) => ClientError::NotConnected,
        })
    }
}

/// Starts `exe agent --dir DIR --socket SOCKET` in its own session, output to `DIR/agent.log`. It
/// outlives the server; wait for the child now and then, so that it is no zombie when it ends.
/// `huge_pages`: this process renounced them for itself; the agent and what it starts have them.
pub fn spawn(exe: &Path, dir: &Path, socket: &Path, huge_pages: bool) -> io::Result<Child> {
    store::private_folder(dir)?;
    let log = launch::append(&dir.join("agent.log"))?;
    let mut command = std::process::Command::new(exe);
    command.arg("agent").arg("--dir").arg(dir).arg("--socket").arg(socket).env_clear();
    for name in launch::PASSED_ON.iter().chain(&["RUST_LOG", "RUST_BACKTRACE"]) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log);
    launch::in_own_session(&mut command);
    if huge_pages {
        launch::with_huge_pages(&mut command);
    }
    command.spawn()
}

struct Task {
    socket: PathBuf,
    orders: mpsc::Receiver<ToAgent>,
    hello: watch::Receiver<Hello>,
    connected: watch::Sender<bool>,
    events: mpsc::Sender<ClientEvent>,
}

/// Why a connection ended.
enum End {
    /// No client is left, or nobody listens to events.
    Unwanted,
    Lost(String),
}

impl Task {
    async fn run(mut self) {
        let mut back_off = BACK_OFF_FIRST;
        loop {
            let end = match socket::connect(&self.socket).await {
                Ok(stream) => self.talk(stream).await,
                Err(error) => End::Lost(error.to_string()),
            };
            let was_connected = self.connected.send_replace(false);
            // Orders of the connection that ended are not for the next one.
            while self.orders.try_recv().is_ok() {}
            let End::Lost(reason) = end else { return };
            if was_connected {
                back_off = BACK_OFF_FIRST;
                if self.events.send(ClientEvent::Disconnected { reason }).await.is_err() {
                    return;
                }
            } else {
                tracing::debug!(reason, "cannot reach the agent");
            }
            tokio::select! {
                () = tokio::time::sleep(back_off) => {}
                () = self.events.closed() => return,
            }
            if self.hello.has_changed().is_err() {
                return;
            }
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
    }

    async fn talk(&mut self, stream: UnixStream) -> End {
        let (read, mut write) = stream.into_split();
        let mut frames = FrameReader::new(read);
        let hello = ToAgent::Hello(self.hello.borrow_and_update().clone());
        if let Err(end) = send(&mut write, &hello).await {
            return end;
        }
        match receive(&mut frames).await {
            Ok(FromAgent::Welcome(welcome)) => {
                self.connected.send_replace(true);
                if self.events.send(ClientEvent::Connected(welcome)).await.is_err() {
                    return End::Unwanted;
                }
            }
            Ok(FromAgent::Refused { reason }) => {
                let refused = FromAgent::Refused { reason: reason.clone() };
                if self.events.send(ClientEvent::Message(refused)).await.is_err() {
                    return End::Unwanted;
                }
                return End::Lost(reason);
            }
            Ok(_) => return End::Lost("the agent did not say welcome first".to_owned()),
            Err(end) => return end,
        }
        self.converse(frames, write).await
    }

    async fn converse(
        &mut self,
        mut frames: FrameReader<OwnedReadHalf>,
        mut write: OwnedWriteHalf,
    ) -> End {
        let mut heartbeat = tokio::time::interval(HEARTBEAT_EVERY);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_since = tokio::time::Instant::now();
        let mut outgoing = VecDeque::new();
        loop {
            if let Some(message) = outgoing.pop_front() {
                if let Err(end) = send(&mut write, &message).await {
                    return end;
                }
                continue;
            }
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => outgoing.push_back(order),
                    None => return End::Unwanted,
                },
                changed = self.hello.changed() => match changed {
                    Ok(()) => {
                        let hello = self.hello.borrow_and_update().clone();
                        outgoing.push_back(ToAgent::Hello(hello));
                    }
                    Err(_) => return End::Unwanted,
                },
                _ = heartbeat.tick() => {
                    if silent_since.elapsed() > SILENT_MAX {
                        return End::Lost("the agent is silent".to_owned());
                    }
                    outgoing.push_back(ToAgent::Heartbeat);
                }
                // May be cancelled: a line half read is kept.
                next = frames.next() => {
                    let message = match message(next) {
                        Ok(message) => message,
                        Err(end) => return end,
                    };
                    if self.events.send(ClientEvent::Message(message)).await.is_err() {
                        return End::Unwanted;
                    }
                    // However long the server took to take it, the agent was not silent.
                    silent_since = tokio::time::Instant::now();
                }
            }
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, message: &ToAgent) -> Result<(), End> {
    let line = encode(message).map_err(|error| End::Lost(error.to_string()))?;
    match timeout(WRITE_WITHIN, write.write_all(&line)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Lost(error.to_string())),
        Err(_) => Err(End::Lost("the agent does not read".to_owned())),
    }
}

async fn receive(frames: &mut FrameReader<OwnedReadHalf>) -> Result<FromAgent, End> {
    match timeout(SILENT_MAX, frames.next()).await {
        Ok(next) => message(next),
        Err(_) => Err(End::Lost("the agent is silent".to_owned())),
    }
}

type Next<'a> = io::Result<Option<Result<&'a [u8], crate::protocol::FrameError>>>;

fn message(next: Next<'_>) -> Result<FromAgent, End> {
    match next {
        Ok(Some(line)) => {
            line.and_then(decode::<FromAgent>).map_err(|error| End::Lost(error.to_string()))
        }
        Ok(None) => Err(End::Lost("the agent closed the connection".to_owned())),
        Err(error) => Err(End::Lost(error.to_string())),
    }
}

//! The agent's end of the socket: who may connect, frames in, messages out.
//!
//! Only the agent's own user and root are let in. A connection that sends nonsense gets a reason
//! for each frame, and is closed when it does nothing else; memory is bounded whatever it sends.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::timeout;

use crate::frames::FrameReader;
use crate::hands::Event;
use crate::outbox::Connection;
use crate::protocol::{FrameError, FromAgent, ToAgent, decode, encode};
use crate::socket;

/// Connections at once: the server, one that takes its place, and a few strays.
const CONNECTIONS_MAX: usize = 8;
/// Time for the first frame, for writing one, and for the last words of a connection.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);
const WRITE_WITHIN: Duration = Duration::from_secs(10);
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);
/// Bad frames in a row after which a connection is closed.
const BAD_FRAMES_MAX: usize = 16;

/// Listens, for this user only; the socket's folder must be private already. A socket that a dead
/// agent left is replaced, one that is in use is not.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match socket::probe(path) {
        Ok(()) => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another agent listens on it"));
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = socket::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes connections for ever.
pub async fn accept(listener: UnixListener, events: mpsc::Sender<Event>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut next_id = 0;
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: some may come free.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(reason) = may_connect(&stream) {
            tracing::warn!(reason, "refused a connection");
            continue;
        }
        next_id += 1;
        let (id, events) = (next_id, events.clone());
        tokio::spawn(async move {
            serve(stream, id, events).await;
            drop(place);
        });
    }
}

fn may_connect(stream: &UnixStream) -> Result<(), String> {
    let peer = stream.peer_cred().map_err(|error| error.to_string())?.uid();
    let own = rustix::process::geteuid().as_raw();
    if peer == own || peer == 0 {
        return Ok(());
    }
    Err(format!("the peer is user {peer}, not {own} or root"))
}

async fn serve(stream: UnixStream, id: u64, events: mpsc::Sender<Event>) {
    let (read, write) = stream.into_split();
    let (connection, queue, close) = Connection::new(id);
    let mut writer = tokio::spawn(write_messages(write, queue, close));
    let reader = read_frames(read, &connection, &events);
    let written = tokio::select! {
        () = reader => false,
        _ = &mut writer => true,
    };
    let _ = events.send(Event::Closed { connection: id }).await;
    if !written {
        connection.close();
        if timeout(LAST_WORDS_WITHIN, &mut writer).await.is_err() {
            writer.abort();
        }
    }
}

async fn read_frames(read: OwnedReadHalf, connection: &Connection, events: &mpsc::Sender<Event>) {
    let mut frames = FrameReader::new(read);
    let mut bad_frames = 0;
    let mut first = true;
    while bad_frames < BAD_FRAMES_MAX {
        let next = if first {
            match timeout(FIRST_FRAME_WITHIN, frames.next()).await {
                Ok(next) => next,
                Err(_) => return,
            }
        } else {
            frames.next().await
        };
        first = false;
        let Ok(Some(line)) = next else { return };
        match line.and_then(decode::<ToAgent>) {
            Ok(message) => {
                bad_frames = 0;
                let (connection, message) = (connection.clone(), Box::new(message));
                if events.send(Event::Frame { connection, message }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                bad_frames += 1;
                let _ = connection.send(FromAgent::Refused { reason: error.to_string() });
                if matches!(error, FrameError::TooLarge(_) | FrameError::Version(_)) {
                    return;
                }
            }
        }
    }
}

/// Writes what is queued until the connection is closed, then the rest of the queue.
async fn write_messages(
    mut write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<FromAgent>,
    close: Arc<Notify>,
) {
    loop {
        let message = tokio::select! {
            biased;
            message = queue.recv() => message,
            () = close.notified() => None,
        };
        let Some(message) = message else { break };
        if !write_message(&mut write, &message).await {
            return;
        }
    }
    while let Ok(message) = queue.try_recv() {
        if !write_message(&mut write, &message).await {
            return;
        }
    }
    let _ = write.shutdown().await;
}

async fn write_message(write: &mut OwnedWriteHalf, message: &FromAgent) -> bool {
    match encode(message) {
        Ok(line) => matches!(timeout(WRITE_WITHIN, write.write_all(&line)).await, Ok(Ok(()))),
        Err(error) => {
            tracing::warn!(%error, "cannot send a message");
            true
        }
    }
}

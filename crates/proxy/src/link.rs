//! One direction of one connection: reads, lets the chain of toxics work, writes.
//!
//! While no toxic acts, bytes pass by the chain through one large buffer. Reading, writing and
//! waiting for a toxic's moment go on independently: what cannot be written yet holds up neither
//! the timestamps of what is read nor a change of toxics.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};
use rustix::net::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::chain::{Chain, End, Item, Moment};
use crate::links::Seen;
use crate::memory::Held;
use crate::toxic::Stream;
use crate::toxics::Toxics;
use crate::traffic::Bytes;

/// The buffer without toxics: it grows while reads fill it.
const PLAIN_BYTES: usize = 64 << 10;
const PLAIN_BYTES_MAX: usize = 256 << 10;
/// A chunk is what one read brings, at most this much.
const CHUNK_BYTES: usize = 64 << 10;
/// A new block is begun when less is left of the old one.
const CHUNK_BYTES_MIN: usize = 16 << 10;

/// A silent peer is asked so often whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No more came, and the other side was told so.
    Eof,
    /// The connection is to be closed; what is under way the other way still arrives.
    Close,
    /// Both sides get a RST at once.
    Reset,
}

pub struct Link<'a> {
    pub from: &'a TcpStream,
    pub to: &'a TcpStream,
    pub stream: Stream,
    pub toxics: watch::Receiver<Arc<Toxics>>,
    pub seen: Seen,
    pub held: Held,
    pub traffic: &'a Bytes,
    pub chain: Chain,
    pub read_ended: bool,
    pub began: Instant,
}

/// Why one way of passing ended.
enum Turn {
    Ended(Ended),
    /// Toxics have changed.
    Changed,
    /// No toxic acts any more, and nothing waits.
    Idle,
}

impl Link<'_> {
    pub async fn run(mut self) -> Ended {
        self.apply();
        loop {
            let turn = if self.chain.is_idle() && !self.read_ended {
                self.pass_by().await
            } else {
                self.pass_through().await
            };
            match turn {
                Turn::Ended(ended) => return ended,
                Turn::Changed => self.apply(),
                Turn::Idle => {}
            }
        }
    }

    /// Takes the toxics as they are now, and says so.
    fn apply(&mut self) {
        let toxics = Arc::clone(&self.toxics.borrow_and_update());
        let now = self.began.elapsed();
        self.chain.update(now, toxics.of(self.stream));
        self.seen.saw(toxics.generation);
    }

    /// Copies while there are no toxics.
    async fn pass_by(&mut self) -> Turn {
        let Link { from, to, toxics, traffic, chain, began, .. } = self;
        let mut buffer = vec![0; PLAIN_BYTES];
        let mut changed = pin!(toxics.changed());
        loop {
            tokio::task::consume_budget().await;
            tokio::select! {
                biased;
                changed = &mut changed => return turned(changed),
                () = std::future::ready(()) => {}
            }
            let read = match from.try_read(&mut buffer) {
                Ok(0) => return finish(to, End::Eof),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::select! {
                        biased;
                        changed = &mut changed => return turned(changed),
                        readable = from.readable() => match readable {
                            Ok(()) => continue,
                            Err(_) => return finish(to, End::Close),
                        },
                    }
                }
                Err(_) => return finish(to, End::Close),
            };
            traffic.received(read);
            let mut written = 0;
            while written < read {
                match to.try_write(&buffer[written..read]) {
                    Ok(count) => {
                        written += count;
                        traffic.sent(count);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        tokio::select! {
                            biased;
                            changed = &mut changed => {
                                let rest = buffer[written..read].to_vec();
                                chain.push_ready(began.elapsed(), rest.into());
                                return turned(changed);
                            }
                            writable = to.writable() => if writable.is_err() {
                                return Turn::Ended(Ended::Close);
                            },
                        }
                    }
                    Err(_) => return Turn::Ended(Ended::Close),
                }
            }
            if read == buffer.len() && read < PLAIN_BYTES_MAX {
                buffer.resize(read * 2, 0);
            }
        }
    }

    /// Passes through the chain until no toxic acts any more.
    async fn pass_through(&mut self) -> Turn {
        let Link { from, to, toxics, traffic, chain, began, held, read_ended, .. } = self;
        let mut input = BytesMut::new();
        let mut changed = pin!(toxics.changed());
        loop {
            tokio::task::consume_budget().await;
            tokio::select! {
                biased;
                changed = &mut changed => return turned(changed),
                () = std::future::ready(()) => {}
            }
            chain.advance(began.elapsed());
            let (written, blocked) = match write(to, chain, traffic) {
                Written::Some { any, blocked } => (any, blocked),
                Written::Turn(turn) => return turn,
            };
            held.set(chain.held_bytes());
            chain.tighten(held.is_short());
            let may_read = !*read_ended && chain.has_room();
            let read = may_read && read(from, chain, *began, &mut input, traffic, read_ended);
            if chain.is_idle() && !*read_ended {
                return Turn::Idle;
            }
            if written || read {
                continue;
            }
            let wake = chain.wake().map(|wake| wake_at(*began, wake));
            tokio::select! {
                biased;
                changed = &mut changed => return turned(changed),
                // An error shows again at the next try.
                _ = from.readable(), if may_read => {}
                _ = to.writable(), if blocked => {}
                () = tokio::time::sleep_until(wake.unwrap_or(*began)), if wake.is_some() => {}
            }
        }
    }
}

enum Written {
    Some { any: bool, blocked: bool },
    Turn(Turn),
}

/// Writes what is ready, as far as the socket takes it.
fn write(to: &TcpStream, chain: &mut Chain, traffic: &Bytes) -> Written {
    let mut any = false;
    loop {
        let count = match chain.ready() {
            None => return Written::Some { any, blocked: false },
            Some(Item::End(end)) => return Written::Turn(finish(to, *end)),
            Some(Item::Data(chunk)) => match to.try_write(&chunk.data) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Written::Some { any, blocked: true };
                }
                Err(_) => return Written::Turn(Turn::Ended(Ended::Close)),
            },
        };
        chain.written(count);
        traffic.sent(count);
        any = true;
    }
}

/// Reads one chunk; whether anything came, be it the end.
fn read(
    from: &TcpStream,
    chain: &mut Chain,
    began: Instant,
    input: &mut BytesMut,
    traffic: &Bytes,
    read_ended: &mut bool,
) -> bool {
    if input.capacity() < CHUNK_BYTES_MIN {
        input.reserve(CHUNK_BYTES);
    }
    let end = match from.try_read_buf(input) {
        Ok(0) => End::Eof,
        Ok(count) => {
            traffic.received(count);
            chain.push(began.elapsed(), input.split().freeze());
            return true;
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
        Err(_) => End::Close,
    };
    *read_ended = true;
    chain.end(end);
    true
}

fn finish(to: &TcpStream, end: End) -> Turn {
    Turn::Ended(match end {
        End::Eof => {
            // It fails where the other side is gone: then there is nobody to be told.
            let _ = shutdown(to, Shutdown::Write);
            Ended::Eof
        }
        End::Close => Ended::Close,
        End::Reset => Ended::Reset,
    })
}

fn turned(changed: Result<(), watch::error::RecvError>) -> Turn {
    match changed {
        Ok(()) => Turn::Changed,
        // The proxy is gone.
        Err(_) => Turn::Ended(Ended::Close),
    }
}

fn wake_at(began: Instant, wake: Moment) -> Instant {
    began.checked_add(wake).unwrap_or(began)
}

/// A socket as the connection wants it, and as Go makes it: small writes go at once, and a peer
/// that has vanished is noticed.
pub fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    set_socket_keepalive(socket, true)?;
    set_tcp_keepidle(socket, KEEPALIVE)?;
    set_tcp_keepintvl(socket, KEEPALIVE)?;
    Ok(())
}

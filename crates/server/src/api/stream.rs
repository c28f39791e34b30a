//! What happens, as it happens: server-sent events.
//!
//! `status` comes first and then each second, `journal` with each line of the journal (its `id` is
//! the line's number), `drill` with the record of a drill that changed. Whoever was cut off says
//! the last `id` in `Last-Event-ID` and is told all since; too much of it is a `reset`: ask
//! everything anew.
//!
//! Bounds: `STREAMS_MAX` streams, and for each a portion of the journal. One that is slow to read
//! gets states further apart and the journal later; one that reads nothing is closed like any
//! connection that rests.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use futures_util::stream;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::extract::Events;
use super::live::{News, status_now};
use super::status::Status;
use super::{App, Error, off_the_loop};
use crate::drills::Record;

/// Streams at a time.
pub const STREAMS_MAX: usize = 64;
/// Lines that are read from the journal at a time.
const PORTION_MAX: usize = 100;
/// Lines that a stream is told after it was cut off.
const RESUMED_MAX: u64 = 10_000;
const LAST_EVENT_ID: &str = "last-event-id";

/// The data of an event; which of them its type says.
pub(super) struct Happening;

impl JsonSchema for Happening {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Happening".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let status = generator.subschema_for::<Status>();
        let journal = generator.subschema_for::<engine::Event>();
        let drill = generator.subschema_for::<Record>();
        json_schema!({
            "description": "`status`: how things are, each second. `journal`: a line of the \
                            journal, `id` is its number. `drill`: a drill that changed. `reset`: \
                            too much was missed; ask everything anew.",
            "anyOf": [status, journal, drill, { "type": "object" }],
        })
    }
}

struct Follower {
    app: App,
    news: watch::Receiver<News>,
    stopping: watch::Receiver<bool>,
    /// What was read and not sent yet.
    waiting: VecDeque<Event>,
    status_number: u64,
    drill_number: u64,
    /// Line of the journal up to which it was told.
    line: u64,
    _turn: OwnedSemaphorePermit,
}

pub(super) async fn follow(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Events<Happening>, Error> {
    let turn = app.turns.streaming.clone().try_acquire_owned();
    let turn = turn.map_err(|_| Error::TooManyStreams)?;
    let last = match headers.get(LAST_EVENT_ID).map(|id| id.to_str().map(str::trim)) {
        None | Some(Ok("")) => None,
        Some(id) => {
            let id = id.ok().and_then(|id| id.parse::<u64>().ok());
            let wrong = || Error::Invalid("Last-Event-ID: write the number of a line".to_owned());
            Some(id.ok_or_else(wrong)?)
        }
    };
    let news = app.live.follow();
    let journal = app.journal.clone();
    let newest = off_the_loop(move || journal.newest_event()).await?;
    let status = status_now(&app).await.ok_or(crate::driver::Error::Stopped)?;
    let (status_number, drill_number) = {
        let news = news.borrow();
        (news.status_number, news.drill_number)
    };
    let mut waiting = VecDeque::from([Event::default().event("status").data(&*status)]);
    let line = match last {
        Some(last) if last <= newest && newest - last <= RESUMED_MAX => last,
        Some(_) => {
            waiting.push_back(reset());
            newest
        }
        None => newest,
    };
    let stopping = app.stopping.clone();
    let follower =
        Follower { app, news, stopping, waiting, status_number, drill_number, line, _turn: turn };
    Ok(Events::new(stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    })))
}

fn reset() -> Event {
    Event::default().event("reset").data("{}")
}

impl Follower {
    /// The next event; `None` when the server ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let news = self.news.borrow_and_update().clone();
            self.take_state(&news);
            if self.line < news.newest {
                self.take_lines(news.newest).await;
            }
            if !self.waiting.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    fn take_state(&mut self, news: &News) {
        if news.status_number > self.status_number {
            self.status_number = news.status_number;
            self.waiting.push_back(Event::default().event("status").data(&*news.status));
        }
        if news.drill_number > self.drill_number {
            let changed = news.drills.values().filter(|(number, _)| *number > self.drill_number);
            for (_, record) in changed {
                self.waiting.push_back(Event::default().event("drill").data(&**record));
            }
            self.drill_number = news.drill_number;
        }
    }

    async fn take_lines(&mut self, newest: u64) {
        if newest - self.line > RESUMED_MAX {
            self.line = newest;
            self.waiting.push_back(reset());
            return;
        }
        let (journal, after) = (self.app.journal.clone(), self.line);
        let read = off_the_loop(move || journal.numbered_after(after, PORTION_MAX));
        // What cannot be read now is read with the next news.
        let Ok(lines) = read.await else { return };
        for (seq, line) in lines {
            self.line = seq;
            // Of a line that is forgotten only its number is left.
            if !line.is_empty() {
                let event = Event::default().event("journal").id(seq.to_string());
                self.waiting.push_back(event.data(line));
            }
        }
    }
}

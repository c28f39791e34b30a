//! What is new, once for all who follow: how things are, the journal's newest line, drills.
//!
//! Nobody looks while nobody follows. Invariant: whoever follows is told of the newest state and of
//! every line of the journal; a state that was replaced before it was read is not told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{App, status};
use crate::journal;

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often the rest is.
const STATE_EVERY: Duration = Duration::from_secs(1);
/// Drills that are looked at: one runs at a time, and the one before it may just have ended.
const DRILLS_MAX: usize = 3;

/// The newest of everything. Texts are JSON.
#[derive(Clone, Default)]
pub(super) struct News {
    /// Rises with each status.
    pub status_number: u64,
    pub status: Arc<str>,
    /// Number of the newest line of the journal.
    pub newest: u64,
    /// Rises with each change of a drill.
    pub drill_number: u64,
    /// By the number of the drill: when it changed last, and its record.
    pub drills: BTreeMap<u64, (u64, Arc<str>)>,
}

/// Where [`News`] can be had.
pub struct Live {
    news: watch::Sender<News>,
}

impl Default for Live {
    fn default() -> Self {
        Live { news: watch::channel(News::default()).0 }
    }
}

impl Live {
    pub(super) fn follow(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }
}

/// Looks for news until the server stops.
pub(super) async fn look(app: App) {
    let mut stopping = app.stopping.clone();
    let mut beat = interval(LOOK_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut state_due = Instant::now();
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        if app.live.news.receiver_count() == 0 {
            continue;
        }
        let newest = newest_line(&app).await;
        let mut state = None;
        if Instant::now() >= state_due {
            state_due = Instant::now() + STATE_EVERY;
            state = Some((status_now(&app).await, drills_now(&app).await));
        }
        app.live.news.send_if_modified(|news| {
            let line = newest.is_some_and(|newest| newest != news.newest);
            news.newest = newest.unwrap_or(news.newest);
            let Some((status, drills)) = state else { return line };
            if let Some(status) = status {
                news.status_number += 1;
                news.status = status;
            }
            take_drills(news, drills);
            true
        });
    }
}

fn take_drills(news: &mut News, drills: Vec<(u64, String)>) {
    news.drills.retain(|id, _| drills.iter().any(|(known, _)| known == id));
    for (id, body) in drills {
        if news.drills.get(&id).is_none_or(|(_, known)| **known != *body) {
            news.drill_number += 1;
            news.drills.insert(id, (news.drill_number, body.into()));
        }
    }
}

/// How things are, as JSON; `None` while the loop cannot be asked.
pub(super) async fn status_now(app: &App) -> Option<Arc<str>> {
    let status = status::gather(app).await.ok()?;
    Some(serde_json::to_string(&status).ok()?.into())
}

async fn newest_line(app: &App) -> Option<u64> {
    asked(app, |journal| journal.newest_event()).await
}

async fn drills_now(app: &App) -> Vec<(u64, String)> {
    asked(app, |journal| journal.drills(false, DRILLS_MAX)).await.unwrap_or_default()
}

/// What cannot be read now is read the next time; `/readyz` tells of such trouble.
async fn asked<T: Send + 'static>(
    app: &App,
    question: impl FnOnce(&journal::Journal) -> Result<T, journal::Error> + Send + 'static,
) -> Option<T> {
    let journal = app.journal.clone();
    let answer = tokio::task::spawn_blocking(move || question(&journal)).await;
    answer.ok().and_then(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_news_when_it_begins_and_whenever_its_record_changes() {
        let mut news = News::default();
        let drill = |id: u64, body: &str| (id, body.to_owned());
        take_drills(&mut news, vec![drill(7, "steady")]);
        assert_eq!((news.drill_number, news.drills[&7].0), (1, 1));
        take_drills(&mut news, vec![drill(7, "steady")]);
        assert_eq!(news.drill_number, 1);
        take_drills(&mut news, vec![drill(8, "steady"), drill(7, "done")]);
        let numbers: Vec<u64> = news.drills.values().map(|(number, _)| *number).collect();
        assert_eq!((news.drill_number, numbers), (3, vec![3, 2]));
    }
}

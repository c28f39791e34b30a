//! `immune top`: the overview, live, for people without a browser.
//!
//! The picture is a pure function of what was answered and what was pressed (`view`, `frame`); here
//! is what asks, listens and restores the terminal. Asking happens apart from drawing: a server
//! that does not answer leaves the keys alive and the figures greyed with their age.

mod terminal;

mod poll;

mod history;

mod rows;

mod view;

mod detail;

mod frame;

#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use self::frame::Look;
use self::poll::{Answers, Focus};
use self::terminal::{Ended, Screen};
use self::view::{Deed, View, Wish};
use super::client::Client;
use super::{ServerArgs, block_on, text};
use crate::clock;

/// Ages move on even while nothing is answered.
const REDRAW_EVERY: Duration = Duration::from_secs(1);
/// Commands that wait for their answer.
const COMMANDS_MAX: usize = 4;

/// Shows services, incidents, plans and drills, live.
#[derive(Args)]
pub(super) struct Top {
    #[command(flatten)]
    server: ServerArgs,
}

impl Top {
    pub(super) fn run(self) -> Result<ExitCode> {
        if self.server.json {
            bail!("top has no JSON; `immune status --json` tells the same once");
        }
        if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            bail!("top needs a terminal; `immune status --json` tells the same once");
        }
        block_on(self.show())
    }

    async fn show(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?.without_signs();
        // What is wrong from the beginning is said as every command says it.
        let answers = Answers::first(&client).await?;
        let mut view = View::new(clock::now());
        view.answered(Ok(answers), clock::now());
        let mut ended = Ended::listen()?;
        let mut screen = Screen::open()?;
        let ended = live(&client, &mut view, &mut screen, &mut ended).await;
        screen.close()?;
        ended
    }
}

async fn live(
    client: &Client,
    view: &mut View,
    screen: &mut Screen,
    ended: &mut Ended,
) -> Result<ExitCode> {
    let look = Look { colours: text::has_colours(true) };
    let mut events = EventStream::new();
    let mut redraw = tokio::time::interval(REDRAW_EVERY);
    let (focus, focused) = watch::channel(Focus::default());
    let (answered, mut answers) = mpsc::channel(1);
    let polling = tokio::spawn(poll::poll(client.clone(), focused, answered));
    let (told, mut outcomes) = mpsc::channel(COMMANDS_MAX);
    let code = loop {
        screen.draw(|frame| frame::draw(frame, view, look, clock::now()))?;
        let wish = tokio::select! {
            biased;
            signal = ended.signal() => break ExitCode::from(128 + signal),
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => view.key(key),
                Some(Ok(_)) => None,
                // The terminal is gone.
                Some(Err(_)) | None => break ExitCode::FAILURE,
            },
            Some(answer) = answers.recv() => {
                view.answered(answer, clock::now());
                None
            }
            Some(outcome) = outcomes.recv() => {
                view.say(outcome);
                None
            }
            _ = redraw.tick() => None,
        };
        match wish {
            Some(Wish::Quit) => break ExitCode::SUCCESS,
            Some(Wish::Suspend) => screen.suspend()?,
            Some(Wish::Do(deed)) => {
                tokio::spawn(carry_out(client.clone(), deed, told.clone()));
            }
            None => {}
        }
        focus.send_if_modified(|focus| {
            let wanted = view.focus();
            let changes = *focus != wanted;
            *focus = wanted;
            changes
        });
    };
    polling.abort();
    Ok(code)
}

async fn carry_out(client: Client, deed: Deed, told: mpsc::Sender<String>) {
    let body = match deed {
        Deed::Freeze => Some(serde_json::json!({ "reason": "from immune top" })),
        _ => None,
    };
    let path = match deed {
        Deed::Approve(id) => format!("plans/{id}/approve"),
        Deed::Deny(id) => format!("plans/{id}/deny"),
        Deed::Freeze => "freeze".to_owned(),
        Deed::Thaw => "thaw".to_owned(),
    };
    let outcome = client.post::<serde_json::Value>(&path, body.as_ref()).await;
    let sentence = match (outcome, deed) {
        (Err(error), _) => format!("{error:#}"),
        (Ok(_), Deed::Approve(id)) => format!("plan {id} is approved"),
        (Ok(_), Deed::Deny(id)) => format!("plan {id} is denied"),
        (Ok(_), Deed::Freeze) => "healing is frozen; f thaws it".to_owned(),
        (Ok(_), Deed::Thaw) => "healing is allowed again".to_owned(),
    };
    // Nobody listens any more: top was left.
    let _ = told.send(sentence).await;
}

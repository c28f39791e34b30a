//! Asks the server: each second what moves, every ten what hardly does, and at once for what is
//! opened.

use std::time::Duration;

use anyhow::Result;
use model::Entity;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::super::client::{Client, escaped};
use super::super::overview::Asked;
use super::history::History;

const EVERY: Duration = Duration::from_secs(1);
/// Of this many looks one asks for everything.
const ALL_EVERY: u32 = 10;
const FAST: &[&str] = &["status", "services", "incidents", "plans", "drills"];

/// What was answered at one look.
pub(super) struct Answers {
    pub(super) asked: Asked,
    pub(super) history: Option<History>,
    /// About the service that is open.
    pub(super) service: Option<(Entity, Value)>,
}

/// What is looked at closely.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Focus {
    pub(super) service: Option<Entity>,
}

impl Answers {
    pub(super) async fn first(client: &Client) -> Result<Answers> {
        Answers::get(client, true, &Focus::default()).await
    }

    async fn get(client: &Client, all: bool, focus: &Focus) -> Result<Answers> {
        let asked = match all {
            true => Asked::all(client).await?,
            false => Asked::parts(client, FAST).await?,
        };
        // Neither is worth that nothing is shown: history is decoration, and a service may be
        // forgotten while it is open.
        let history = if all { History::ask(client).await.ok() } else { None };
        let service = match &focus.service {
            Some(entity) => client.get(&route(entity)).await.ok().map(|it| (entity.clone(), it)),
            None => None,
        };
        Ok(Answers { asked, history, service })
    }
}

fn route(entity: &Entity) -> String {
    let (name, environment) = (escaped(&entity.name), escaped(&entity.scope.environment));
    format!("services/{name}?environment={environment}")
}

/// Asks until nobody listens.
pub(super) async fn poll(
    client: Client,
    mut focus: watch::Receiver<Focus>,
    answered: mpsc::Sender<Result<Answers>>,
) {
    let mut looks = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            // Whoever held the other end is gone: the send below tells.
            _ = focus.changed() => {}
        }
        looks += 1;
        let wanted = focus.borrow_and_update().clone();
        let answer = Answers::get(&client, looks % ALL_EVERY == 0, &wanted).await;
        if answered.send(answer).await.is_err() {
            return;
        }
    }
}

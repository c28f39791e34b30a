//! Questions to the agent what an injection would do, which wait for its answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::protocol::{FaultId, Injection};
use tokio::sync::oneshot;

use super::Hands;

/// The agent looks at its host for a while, and may run a command for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const WAITING_MAX: usize = 16;

type Answer = Result<String, String>;

#[derive(Clone, Default)]
pub(super) struct Aims(Arc<Mutex<BTreeMap<FaultId, oneshot::Sender<Answer>>>>);

impl Aims {
    pub(super) fn answered(&self, id: &FaultId, aim: Answer) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Some(waiting) = waiting {
            let _ = waiting.send(aim);
        }
    }

    fn wait(&self, id: &FaultId) -> Result<oneshot::Receiver<Answer>, String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, sender| !sender.is_closed());
        if waiting.len() >= WAITING_MAX {
            return Err(format!("{WAITING_MAX} plans are being made, no more at once"));
        }
        let (sender, receiver) = oneshot::channel();
        waiting.insert(id.clone(), sender);
        Ok(receiver)
    }
}

impl Hands {
    /// What exactly would it hit, or why would the agent refuse it? Nothing is done.
    pub async fn aim(&self, injection: Injection) -> Answer {
        let answer = self.aims.wait(&injection.id)?;
        self.client.aim(injection).map_err(|error| error.to_string())?;
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(aim)) => aim,
            Ok(Err(_)) => Err("the agent did not answer".to_owned()),
            Err(_) => Err(format!("the agent did not answer within {} s", ANSWER_WITHIN.as_secs())),
        }
    }
}

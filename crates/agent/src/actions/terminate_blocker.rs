//! Terminate a blocker: end the one PostgreSQL session that holds up the others.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble};
use crate::config::Target;
use crate::postgres;

pub const SPEC: Spec = Spec {
    id: "terminate_blocker",
    title: "Terminate a blocking session",
    documentation: "Ends the session of a PostgreSQL database that blocks most others and is \
                    blocked by none, if its transaction is older than `blocks_for` (30 s) and \
                    its user is one of `users` (any but superusers). The server itself checks, \
                    in the statement that ends it, that it is that session and still blocks. \
                    Done when the session is gone. One session an action.",
    example: "postgres: {socket_folder: /var/run/postgresql, user: immune, database: shop, \
              blocks_for: 30s}\n",
    offers,
    ends_process: |_| false,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = target.postgres.as_ref().map(|postgres| Offer {
        kind: ActionKind::TerminateBlocker,
        undo: None,
        timeout: postgres.timeout.0,
    });
    offer.into_iter().collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let Some(postgres) = &task.target.postgres else {
        return Err(Trouble::Refused("no PostgreSQL database is declared".to_owned()));
    };
    postgres::end_blocker(postgres)
}

//! Orders and the states they go through, kept in the database.
//!
//! An order only moves along [`OrderState::can_become`]; the database refuses any other move, so
//! that two answers for one order cannot overwrite each other.

use std::path::Path;

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;

use crate::lines::Line;
use crate::store::{Query, Store, StoreError};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id          TEXT NOT NULL UNIQUE,
        items       TEXT NOT NULL,
        state       TEXT NOT NULL,
        total_cents INTEGER NOT NULL
    );";

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Written down; nothing asked of others yet.
    Pending,
    /// The items are reserved, the charge is being asked for.
    Reserved,
    /// Charged: the order is done.
    Paid,
    /// Not in stock, or there is no such product.
    Refused,
    /// The issuer declined the card.
    Declined,
    /// Another part failed before any charge can have happened.
    Failed,
    /// The charge was asked for and no answer came: it may have happened.
    Unknown,
}

/// An order as its user sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Order {
    /// Name of the order, not guessable.
    pub id: String,
    /// How far it has come.
    pub state: OrderState,
    /// Price of all items; zero until they are reserved.
    pub total_cents: i64,
}

/// The orders in the database.
#[derive(Clone)]
pub struct Orders {
    store: Store,
}

impl OrderState {
    const ALL: [OrderState; 7] = [
        OrderState::Pending,
        OrderState::Reserved,
        OrderState::Paid,
        OrderState::Refused,
        OrderState::Declined,
        OrderState::Failed,
        OrderState::Unknown,
    ];

    /// Whether an order may go from this state to `next`.
    pub fn can_become(self, next: OrderState) -> bool {
        use OrderState::{Declined, Failed, Paid, Pending, Refused, Reserved, Unknown};
        match self {
            Pending => matches!(next, Reserved | Refused | Failed),
            Reserved => matches!(next, Paid | Declined | Failed | Unknown),
            Paid | Refused | Declined | Failed | Unknown => false,
        }
    }

    /// The word in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderState::Pending => "pending",
            OrderState::Reserved => "reserved",
            OrderState::Paid => "paid",
            OrderState::Refused => "refused",
            OrderState::Declined => "declined",
            OrderState::Failed => "failed",
            OrderState::Unknown => "unknown",
        }
    }

    fn parse(text: &str) -> Option<OrderState> {
        OrderState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Orders {
    /// Opens or creates the database in `folder`.
    pub fn open(folder: &Path) -> Result<Orders, StoreError> {
        Ok(Orders { store: Store::open(folder, "checkout", "checkout", SCHEMA)? })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Writes down a new, pending order.
    pub async fn create(&self, id: &str, lines: &[Line]) -> Result<(), StoreError> {
        let (id, items) = (id.to_owned(), serde_json::to_string(lines).unwrap_or_default());
        let query = Query { operation: "INSERT", summary: "INSERT orders" };
        let sql = "INSERT INTO orders (id, items, state, total_cents) VALUES (?1, ?2, ?3, 0)";
        self.store
            .run(query, move |connection| {
                let mut statement = connection.prepare(sql)?;
                statement.execute(params![id, items, OrderState::Pending.as_str()])
            })
            .await?;
        Ok(())
    }

    /// Moves an order to `next`; false where it is not in a state that can become `next`.
    pub async fn advance(
        &self,
        id: &str,
        next: OrderState,
        total_cents: i64,
    ) -> Result<bool, StoreError> {
        let before: Vec<&str> = OrderState::ALL
            .into_iter()
            .filter(|state| state.can_become(next))
            .map(OrderState::as_str)
            .collect();
        // The list holds words of this file only.
        let sql = format!(
            "UPDATE orders SET state = ?2, total_cents = ?3 WHERE id = ?1 AND state IN ('{}')",
            before.join("','")
        );
        let query = Query { operation: "UPDATE", summary: "UPDATE orders" };
        let id = id.to_owned();
        let changed = self
            .store
            .run(query, move |connection| {
                let mut statement = connection.prepare(&sql)?;
                statement.execute(params![id, next.as_str(), total_cents])
            })
            .await?;
        Ok(changed == 1)
    }

    /// The order called `id`.
    pub async fn find(&self, id: &str) -> Result<Option<Order>, StoreError> {
        let query = Query { operation: "SELECT", summary: "SELECT orders" };
        let id = id.to_owned();
        let sql = "SELECT id, state, total_cents FROM orders WHERE id = ?1";
        self.store
            .run(query, move |connection| {
                let mut statement = connection.prepare(sql)?;
                let read = |row: &rusqlite::Row<'_>| {
                    let state: String = row.get(1)?;
                    let state = OrderState::parse(&state).unwrap_or(OrderState::Unknown);
                    Ok(Order { id: row.get(0)?, state, total_cents: row.get(2)? })
                };
                statement.query_row([id], read).optional()
            })
            .await
    }

    /// Forgets the oldest orders beyond `orders_max`.
    pub async fn keep_newest(&self, orders_max: u32) -> Result<(), StoreError> {
        self.store.keep_newest("orders", orders_max).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_reached_and_none_is_left() {
        use OrderState::{Declined, Failed, Paid, Pending, Refused, Reserved, Unknown};
        for end in [Paid, Refused, Declined, Failed, Unknown] {
            assert!(
                Pending.can_become(end) || Reserved.can_become(end),
                "{end:?} is never reached"
            );
            assert!(OrderState::ALL.into_iter().all(|next| !end.can_become(next)));
        }
        assert!(!Pending.can_become(Paid), "nothing is paid before it is reserved");
    }

    #[test]
    fn every_state_is_read_back_as_written() {
        for state in OrderState::ALL {
            assert_eq!(OrderState::parse(state.as_str()), Some(state));
        }
    }

    #[tokio::test]
    async fn the_database_refuses_a_move_that_the_states_do_not_allow() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let orders = Orders::open(folder.path()).expect("open");
        orders.create("o-1", &[]).await.expect("create");
        assert!(!orders.advance("o-1", OrderState::Paid, 5).await.expect("refused"));
        assert!(orders.advance("o-1", OrderState::Reserved, 5).await.expect("allowed"));
        assert!(orders.advance("o-1", OrderState::Paid, 5).await.expect("allowed"));
        assert!(!orders.advance("o-1", OrderState::Failed, 5).await.expect("refused"));
        let order = orders.find("o-1").await.expect("find").expect("exists");
        assert_eq!((order.state, order.total_cents), (OrderState::Paid, 5));
        assert_eq!(orders.find("o-2").await.expect("find"), None);
    }
}

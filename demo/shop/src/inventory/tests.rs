//! The stock is never oversold, never half taken, and comes back when an order fails.

use super::*;

fn line(sku: &str, quantity: u32) -> Line {
    Line { sku: sku.to_owned(), quantity }
}

async fn reserved(store: &Store, order: &str, items: Vec<Line>) -> Result<StatusCode, Problem> {
    let request = ReservationRequest { order_id: order.to_owned(), items };
    reserve(State(store.clone()), Ok(Json(request))).await
}

async fn left(store: &Store, sku: &str) -> i64 {
    let answer = stock(State(store.clone()), Path(sku.to_owned())).await;
    answer.expect("a seeded product").0.stock
}

#[tokio::test]
async fn a_reservation_takes_stock_and_a_release_gives_it_back() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = open(folder.path()).expect("open");
    let items = vec![line("mug", 2), line("teapot", 1)];
    assert_eq!(reserved(&store, "o-1", items).await, Ok(StatusCode::CREATED));
    assert_eq!(left(&store, "mug").await, 998);
    for _ in 0..2 {
        release(State(store.clone()), Path("o-1".to_owned())).await.expect("release");
        assert_eq!(left(&store, "mug").await, 1000, "a release counts once");
    }
}

#[tokio::test]
async fn reserving_twice_for_one_order_reserves_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = open(folder.path()).expect("open");
    for _ in 0..2 {
        reserved(&store, "o-1", vec![line("mug", 3)]).await.expect("in stock");
    }
    assert_eq!(left(&store, "mug").await, 997);
}

#[tokio::test]
async fn an_order_with_one_sold_out_item_takes_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = open(folder.path()).expect("open");
    let refused = reserved(&store, "o-1", vec![line("mug", 1), line("moonjar", 1)]).await;
    assert_eq!(refused.expect_err("sold out").status, StatusCode::CONFLICT);
    let unknown = reserved(&store, "o-2", vec![line("mug", 1), line("yacht", 1)]).await;
    assert_eq!(unknown.expect_err("no such product").status, StatusCode::NOT_FOUND);
    assert_eq!(left(&store, "mug").await, 1000);
}

#[tokio::test]
async fn a_delivery_fills_what_was_sold_but_not_what_is_gone_for_good() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = open(folder.path()).expect("open");
    for order in 0..51 {
        reserved(&store, &format!("o-{order}"), vec![line("mug", 10)]).await.expect("in stock");
    }
    assert_eq!(left(&store, "mug").await, 490);
    housekeep(store.clone()).await;
    assert_eq!(left(&store, "mug").await, 1000);
    assert_eq!(left(&store, "moonjar").await, 0);
}

#[tokio::test]
async fn reopening_keeps_the_stock() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = open(folder.path()).expect("open");
    reserved(&store, "o-1", vec![line("mug", 4)]).await.expect("in stock");
    drop(store);
    assert_eq!(left(&open(folder.path()).expect("reopen"), "mug").await, 996);
}

//! The steps of one order: fetch the cart, write down, ask the price, reserve, charge, write down
//! how it ended, empty the cart.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use rand::RngExt as _;

use super::order::{Order, OrderState};
use super::{Checkout, OrderRequest};
use crate::balancer::BalancedCall;
use crate::cart::Cart;
use crate::catalog::{Quote, QuoteRequest};
use crate::inventory::ReservationRequest;
use crate::lines::{Line, check_lines};
use crate::payment::{ChargeRequest, IDEMPOTENCY_KEY};
use crate::problem::Problem;
use crate::telemetry::outbound::Call;
use crate::transport::Upstream;

/// Time for the carts, and for the catalog's price.
const LOOK_UP_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Time for a reservation. Shorter than the gateway's patience with checkout (3 s), so that the
/// user learns which part was slow.
const RESERVE_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Time for a charge; longer than the balancer's patience with an instance.
const CHARGE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Time to give a reservation back, or to empty a cart.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(2_000);

impl Checkout {
    /// Takes one order to its end.
    pub(super) async fn order(&self, request: OrderRequest) -> Result<Order, Problem> {
        let Some(session) = &request.cart else {
            return self.place(request.items, request.card).await;
        };
        let items = self.cart(session).await?;
        check_lines(&items)?;
        let order = self.place(items, request.card).await?;
        self.delete("cart", &self.cart, &format!("/carts/{session}")).await;
        Ok(order)
    }

    async fn place(&self, items: Vec<Line>, card: String) -> Result<Order, Problem> {
        let id = format!("o-{:016x}", rand::rng().random::<u64>());
        self.orders.create(&id, &items).await?;
        let total_cents = match self.quote(&items).await {
            Ok(quote) => quote.total_cents,
            Err(problem) => return self.end(&id, 0, after_reserve(&problem), problem).await,
        };
        if let Err(problem) = self.reserve(&id, items).await {
            return self.end(&id, 0, after_reserve(&problem), problem).await;
        }
        self.orders.advance(&id, OrderState::Reserved, total_cents).await?;
        if let Err((state, problem)) = self.charge(&id, total_cents, card).await {
            // Where that fails, the next delivery makes up for it.
            self.delete("inventory", &self.inventory, &format!("/reservations/{id}")).await;
            return self.end(&id, total_cents, state, problem).await;
        }
        self.orders.advance(&id, OrderState::Paid, total_cents).await?;
        tracing::info!(order = id, total_cents, "order paid");
        Ok(Order { id, state: OrderState::Paid, total_cents })
    }

    async fn end(
        &self,
        id: &str,
        total_cents: i64,
        state: OrderState,
        problem: Problem,
    ) -> Result<Order, Problem> {
        self.orders.advance(id, state, total_cents).await?;
        let (state, detail) = (state.as_str(), &problem.detail);
        if problem.status.is_server_error() {
            tracing::error!(order = id, state, "order {state}: {detail}");
        } else {
            tracing::info!(order = id, state, "order {state}: {detail}");
        }
        Err(problem)
    }

    async fn cart(&self, session: &str) -> Result<Vec<Line>, Problem> {
        let call = Call {
            name: "cart",
            upstream: &self.cart,
            method: Method::GET,
            path: &format!("/carts/{session}"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: LOOK_UP_TIMEOUT,
        };
        let response = self.caller.call(call).await?;
        let cart: Cart = read("cart", StatusCode::OK, &response)?;
        Ok(cart.items)
    }

    async fn quote(&self, items: &[Line]) -> Result<Quote, Problem> {
        let request = QuoteRequest { items: items.to_vec() };
        let call = BalancedCall {
            method: Method::POST,
            path: "/quotes",
            headers: json(),
            body: serde_json::to_vec(&request).unwrap_or_default().into(),
            timeout: LOOK_UP_TIMEOUT,
        };
        let response = self.catalog.read(&self.caller, call).await?;
        read("catalog", StatusCode::CREATED, &response)
    }

    async fn reserve(&self, id: &str, items: Vec<Line>) -> Result<(), Problem> {
        let request = ReservationRequest { order_id: id.to_owned(), items };
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let call = post("inventory", &self.inventory, "/reservations", body, RESERVE_TIMEOUT);
        let response = self.caller.call(call).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            status => Err(refusal("inventory", status, &response)),
        }
    }

    /// Charges the card, or says where that leaves the order.
    async fn charge(
        &self,
        id: &str,
        amount_cents: i64,
        card: String,
    ) -> Result<(), (OrderState, Problem)> {
        let request = ChargeRequest { amount_cents, card };
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let mut call = post("payment", &self.payment, "/payments", body, CHARGE_TIMEOUT);
        if let Ok(key) = HeaderValue::from_str(id) {
            call.headers.insert(HeaderName::from_static(IDEMPOTENCY_KEY), key);
        }
        let answered = self.caller.call(call).await;
        let response = answered.map_err(|problem| (OrderState::Unknown, problem))?;
        let problem = match response.status() {
            StatusCode::CREATED | StatusCode::OK => return Ok(()),
            StatusCode::PAYMENT_REQUIRED => Problem::declined(detail_of(&response)),
            status => Problem::upstream_answered("payment", status),
        };
        Err((after_charge(response.status()), problem))
    }

    /// Deletes something that is no longer needed; where that fails nobody has to know.
    async fn delete(&self, name: &str, upstream: &Upstream, path: &str) {
        let call = Call {
            name,
            upstream,
            method: Method::DELETE,
            path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: RELEASE_TIMEOUT,
        };
        // A failed call has logged itself.
        let _ = self.caller.call(call).await;
    }
}

/// What another part answered, if it answered with `status`.
fn read<T: serde::de::DeserializeOwned>(
    name: &str,
    status: StatusCode,
    response: &Response<Bytes>,
) -> Result<T, Problem> {
    if response.status() != status {
        return Err(refusal(name, response.status(), response));
    }
    let read = serde_json::from_slice(response.body());
    read.map_err(|_| Problem::upstream_answered(name, response.status()))
}

/// What a refusal by another part means for the user.
fn refusal(name: &str, status: StatusCode, response: &Response<Bytes>) -> Problem {
    match status {
        StatusCode::CONFLICT => Problem::out_of_stock(detail_of(response)),
        StatusCode::NOT_FOUND => Problem::not_found(detail_of(response)),
        StatusCode::UNPROCESSABLE_ENTITY => Problem::invalid(detail_of(response)),
        status => Problem::upstream_answered(name, status),
    }
}

fn json() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

fn post<'a>(
    name: &'a str,
    upstream: &'a Upstream,
    path: &'a str,
    body: Vec<u8>,
    timeout: Duration,
) -> Call<'a> {
    Call { name, upstream, method: Method::POST, path, headers: json(), body: body.into(), timeout }
}

/// The sentence for people in another part's problem.
fn detail_of(response: &Response<Bytes>) -> String {
    let body: Option<serde_json::Value> = serde_json::from_slice(response.body()).ok();
    let detail = body.as_ref().and_then(|body| body.get("detail")).and_then(|d| d.as_str());
    detail.unwrap_or("no detail given").to_owned()
}

/// Where an order ends whose reservation was not given.
fn after_reserve(problem: &Problem) -> OrderState {
    if problem.status.is_client_error() { OrderState::Refused } else { OrderState::Failed }
}

/// Where an order ends whose charge was answered with `status`. A balancer that had no answer
/// either (502, 504) cannot know whether the charge happened.
fn after_charge(status: StatusCode) -> OrderState {
    match status {
        StatusCode::PAYMENT_REQUIRED => OrderState::Declined,
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => OrderState::Unknown,
        _ => OrderState::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_unknown_only_where_nobody_can_tell_whether_it_was_charged() {
        assert_eq!(after_charge(StatusCode::GATEWAY_TIMEOUT), OrderState::Unknown);
        assert_eq!(after_charge(StatusCode::BAD_GATEWAY), OrderState::Unknown);
        assert_eq!(after_charge(StatusCode::PAYMENT_REQUIRED), OrderState::Declined);
        assert_eq!(after_charge(StatusCode::INTERNAL_SERVER_ERROR), OrderState::Failed);
    }

    #[test]
    fn a_user_who_asks_too_much_is_refused_and_a_broken_catalog_fails_the_order() {
        assert_eq!(after_reserve(&Problem::out_of_stock("0 left")), OrderState::Refused);
        let broken = Problem::upstream_answered("catalog", StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(after_reserve(&broken), OrderState::Failed);
    }

    #[test]
    fn a_problem_without_detail_is_still_told() {
        let response = Response::new(Bytes::from_static(b"<html>"));
        assert_eq!(detail_of(&response), "no detail given");
    }
}

//! HTTP request: one that the target declares, as configured, with nothing added.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble};
use crate::config::{Request, Target};
use crate::http::{self, Ask};
use crate::lifecycle;

pub const SPEC: Spec = Spec {
    id: "http_request",
    title: "Make an HTTP request",
    documentation: "Makes a request that the target declares by name: method, URL, headers and \
                    body. An answer that is declared as `status` (200 to 299 where none is) is \
                    done. Redirects are not followed, proxies not asked; URLs are of this host \
                    unless `remote` is set. `undo` names the request that takes it back.",
    example: "requests:\n  dark: {url: \"http://127.0.0.1:8080/flags/new\", method: DELETE, \
              undo: bright}\n  bright: {url: \"http://127.0.0.1:8080/flags/new\", method: PUT, \
              body: \"on\", status: [200, 201]}\n",
    offers,
    ends_process: |_| false,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let kind = |name: &String| ActionKind::HttpRequest { request: name.clone() };
    let offer = |(name, request): (&String, &Request)| Offer {
        kind: kind(name),
        undo: request.undo.as_ref().map(kind),
        timeout: request.timeout.0,
    };
    target.requests.iter().map(offer).collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let ActionKind::HttpRequest { request } = &task.action.kind else {
        return Err("not a request".to_owned().into());
    };
    let Some(request) = task.target.requests.get(request) else {
        return Err(Trouble::Refused("no request of that name is declared".to_owned()));
    };
    let headers = request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let answer = http::ask(Ask {
        method: request.method.method(),
        url: &request.url,
        socket: None,
        headers,
        body: request.body.clone(),
        timeout: request.timeout.0,
    })?;
    if request.means_done(answer.status) {
        return Ok(format!("answered {}", answer.status));
    }
    let said = lifecycle::quote(&answer.body).map(|line| format!(": {line}"));
    Err(format!("answered {}{}", answer.status, said.unwrap_or_default()).into())
}

//! One span: is it a request served, a call made, or neither; and what does it tell?
//!
//! Server and consumer spans are requests served, except a server span known to have its parent
//! in the same process (then that parent was the entry). Client and producer spans are calls.
//! Internal spans count nothing. A span delivered twice within the memory of recent spans counts
//! once.

use model::signal::{Span, SpanKind, TraceId};
use model::tick::BUCKET;
use model::{EntityKind, Timestamp};

use crate::callee;
use crate::calls::{Call, Ends, SpanKey};
use crate::normalise::{Facts, Field};
use crate::observer::{Observer, Source};
use crate::operation;
use crate::outcome::{self, Rules};
use crate::points::Request;
use crate::registry::Series;
use crate::sampling;
use crate::trees::{Told, ask};

/// OTLP span flags: is it known whether the parent is remote, and is it?
const FLAG_HAS_IS_REMOTE: u32 = 0x100;
const FLAG_IS_REMOTE: u32 = 0x200;

impl Observer {
    pub(crate) fn take_span(&mut self, source: &Source, span: &Span, arrival: Timestamp) {
        let told = match span.kind {
            SpanKind::Server | SpanKind::Consumer => self.take_entry(source, span, arrival),
            SpanKind::Client | SpanKind::Producer => self.take_call(source, span, arrival),
            SpanKind::Internal | SpanKind::Unspecified => Some(Told::inner()),
        };
        let Some(told) = told else { return };
        let (time, trees) = ((arrival, self.config.late_after.0), &self.config.trees);
        self.trees.take((span, source.service), told, time, trees, &mut self.quality);
    }

    /// What its tree is to know of it; `None` for a second delivery and a late one.
    fn take_entry(&mut self, source: &Source, span: &Span, arrival: Timestamp) -> Option<Told> {
        if span.kind == SpanKind::Server && has_local_parent(span) {
            return Some(Told::inner());
        }
        if let Some(key) = SpanKey::new(&span.trace_id, &span.span_id) {
            if self.entries.contains(&key) {
                return None;
            }
            self.entries.put(key, ());
        }
        self.instances.tells_spans(source.service);
        let parent = SpanKey::new(&span.trace_id, &span.parent_span_id);
        if let Some(parent) = parent.filter(|_| span.kind == SpanKind::Server) {
            self.calls.answered(parent, source.service, &mut self.registry);
        }
        let facts = Facts::read(&span.attributes);
        let operation = operation::name(&facts, &span.name, span.kind);
        let rules = Rules::of(&self.config, &source.name);
        if self.is_excluded(&facts, &operation) || rules.ignores(&operation) {
            return Some(Told::default());
        }
        let error = outcome::served(&facts, span, &rules);
        let request = self.request(span, &facts, error, arrival)?;
        let measured = source.instance.map(|instance| self.instances.measured_until(instance));
        if measured.is_some_and(|until| request.end <= until) {
            return Some(Told { error: request.error, ..Told::default() });
        }
        let limits = &self.config.limits;
        let operation =
            self.registry.part(source.service, EntityKind::Operation, &operation, arrival, limits);
        for id in [Some(source.service), operation, source.instance].into_iter().flatten() {
            self.points.request(Series::Of(id), &request, &self.registry);
        }
        Some(Told { subject: operation, error: request.error, ..Told::default() })
    }

    /// What its tree is to know of it; `None` for a second delivery and a late one.
    fn take_call(&mut self, source: &Source, span: &Span, arrival: Timestamp) -> Option<Told> {
        let facts = Facts::read(&span.attributes);
        let scope = (source.scope_id, &source.scope);
        let limits = &self.config.limits;
        let callee = callee::name(&facts, &self.config)
            .and_then(|(kind, name)| self.registry.named(scope, kind, &name, arrival, limits));
        let Some(callee) = callee else {
            return Some(Told { error: outcome::called(&facts, span), ..Told::default() });
        };
        let ends = Ends { caller: source.service, callee };
        let key = SpanKey::new(&span.trace_id, &span.span_id);
        if let Some(key) = key
            && !self.calls.client_seen(key, ends, &mut self.registry)
        {
            return None;
        }
        let error = outcome::called(&facts, span);
        let is_idle_connect = error.is_none() && callee::is_mere_connect(span, &facts);
        if is_idle_connect || self.is_excluded(&facts, "") {
            return Some(Told::inner());
        }
        let request = self.request(span, &facts, error, arrival)?;
        let ask = ask(&span.name, &facts);
        let told =
            Told { subject: Some(callee), ask, error: request.error.clone(), is_inner: false };
        let parent = SpanKey::new(&span.trace_id, &span.parent_span_id);
        if self.calls.push(Call { key, parent, ends, request, arrival }, &self.config.limits) {
            self.calls.flush(&mut self.points, &mut self.registry, &self.config.limits);
        }
        Some(told)
    }

    /// `None` for a late span, which is counted as such.
    fn request(
        &mut self,
        span: &Span,
        facts: &Facts<'_>,
        error: Option<String>,
        arrival: Timestamp,
    ) -> Option<Request> {
        let Some(end) = self.event_time(span.end_unix_nanos, arrival) else {
            self.quality.late_spans += 1;
            return None;
        };
        let has_start = span.start_unix_nanos > 0;
        let duration_nanos =
            if has_start { span.end_unix_nanos.saturating_sub(span.start_unix_nanos) } else { 0 };
        let weight = sampling::weight(&span.trace_state, facts);
        let trace: TraceId = span.trace_id;
        Some(Request { end, duration_nanos, weight, error, trace })
    }

    /// Event time, clamped to arrival when it is missing or in the future; `None` when it is too
    /// late to count.
    pub(crate) fn event_time(&mut self, nanos: u64, arrival: Timestamp) -> Option<Timestamp> {
        if nanos == 0 {
            return Some(arrival);
        }
        if nanos > arrival.as_nanos() {
            let skew = nanos - arrival.as_nanos();
            self.quality.skew_max_nanos = self.quality.skew_max_nanos.max(skew);
            return Some(arrival);
        }
        let event = Timestamp(nanos);
        (arrival.since(event) <= self.config.late_after.0.max(BUCKET)).then_some(event)
    }

    /// Health checks and synthetic traffic are not users.
    pub(crate) fn is_excluded(&self, facts: &Facts<'_>, operation: &str) -> bool {
        let is_health = |path: &str| {
            let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
            self.config.health_routes.iter().any(|route| route == path)
        };
        facts.has(Field::Synthetic)
            || facts.text(Field::Route).is_some_and(is_health)
            || facts.path().is_some_and(is_health)
            || facts.text(Field::RpcService) == Some(GRPC_HEALTH)
            || operation.strip_prefix(GRPC_HEALTH).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The standard health service of gRPC (grpc/grpc `doc/health-checking.md`).
const GRPC_HEALTH: &str = "grpc.health.v1.Health";

fn has_local_parent(span: &Span) -> bool {
    let has_parent = span.parent_span_id.iter().any(|byte| *byte != 0);
    let remote = span.flags & (FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE);
    has_parent && remote == FLAG_HAS_IS_REMOTE
}

#[cfg(test)]
mod tests;

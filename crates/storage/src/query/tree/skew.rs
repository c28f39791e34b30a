//! Clocks that disagree: children outside of their parents, by pair of places.

use std::collections::BTreeMap;

use model::signal::SpanKind;

use super::timing::difference;
use super::{Clock, Skew, Tree, TreeSpan, bound};

/// Clocks of browsers and Node.js tell whole milliseconds.
pub const TOLERANCE_NANOS: u64 = 1_000_000;

#[derive(Default)]
struct Pair {
    spans: u32,
    early_nanos_max: u64,
    offsets: Vec<i64>,
}

pub fn find(spans: &[TreeSpan<'_>], tree: &mut Tree) {
    let mut pairs: BTreeMap<(&str, &str, &str, &str), Pair> = BTreeMap::new();
    for (child, node) in spans.iter().zip(&tree.nodes) {
        let Some(parent) = node.parent.map(|parent| &spans[parent as usize]) else { continue };
        let offset = offset(parent, child);
        // A child that only ends late may simply not have been waited for.
        let is_outside = node.early_nanos > TOLERANCE_NANOS
            || (offset.is_some() && node.late_nanos > TOLERANCE_NANOS);
        if !is_outside {
            continue;
        }
        let places = (parent.service, parent.instance, child.service, child.instance);
        let pair = pairs.entry(places).or_default();
        pair.spans += 1;
        pair.early_nanos_max = pair.early_nanos_max.max(node.early_nanos);
        pair.offsets.extend(offset);
    }
    let clock = |service: &str, instance: &str| Clock {
        service: service.to_owned(),
        instance: instance.to_owned(),
    };
    let mut skews: Vec<Skew> = Vec::with_capacity(pairs.len());
    for ((caller, caller_instance, callee, callee_instance), mut pair) in pairs {
        pair.offsets.sort_unstable();
        skews.push(Skew {
            caller: clock(caller, caller_instance),
            callee: clock(callee, callee_instance),
            spans: pair.spans,
            early_nanos_max: pair.early_nanos_max,
            offset_nanos: pair.offsets.get(pair.offsets.len() / 2).copied(),
        });
    }
    skews.sort_by_key(|skew| std::cmp::Reverse((skew.spans, skew.early_nanos_max)));
    bound(&mut skews, &mut tree.cut);
    tree.skews = skews;
}

/// By how much the server's clock is ahead, if request and answer take the same time; only where
/// the server's span is short enough to have been inside the client's.
fn offset(client: &TreeSpan<'_>, server: &TreeSpan<'_>) -> Option<i64> {
    let is_call = client.kind == SpanKind::Client && server.kind == SpanKind::Server;
    let way = client.duration().checked_sub(server.duration()).filter(|_| is_call)?;
    Some(difference(server.start, client.start.saturating_add(way / 2)))
}

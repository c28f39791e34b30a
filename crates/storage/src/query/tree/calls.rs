//! Calls of one span that belong together: the same call many times (fan-out), and a call made
//! again after it had failed (retry).

use std::collections::BTreeMap;

use super::{FanOut, Retry, Tree, TreeSpan, bound, callee};

pub fn find(spans: &[TreeSpan<'_>], order: &[u32], tree: &mut Tree) {
    let mut fan_outs = Vec::new();
    let mut retries = Vec::new();
    for parent in order {
        if tree.nodes[*parent as usize].children.len() < 2 {
            continue;
        }
        collect_fan_outs(spans, tree, *parent, &mut fan_outs);
        collect_retries(spans, tree, *parent, &mut retries);
    }
    fan_outs.sort_by_key(|found: &FanOut| {
        (std::cmp::Reverse((found.calls, found.total_nanos)), found.parent)
    });
    bound(&mut fan_outs, &mut tree.cut);
    bound(&mut retries, &mut tree.cut);
    tree.fan_outs = fan_outs;
    tree.retries = retries;
}

fn collect_fan_outs(spans: &[TreeSpan<'_>], tree: &Tree, parent: u32, fan_outs: &mut Vec<FanOut>) {
    let mut groups: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for child in &tree.nodes[parent as usize].children {
        let span = &spans[*child as usize];
        let callee = match callee(spans, tree, *child) {
            "" => span.service,
            callee => callee,
        };
        groups.entry((callee, span.name)).or_default().push(*child);
    }
    for ((callee, operation), calls) in groups.into_iter().filter(|(_, calls)| calls.len() > 1) {
        let durations = calls.iter().map(|call| spans[*call as usize].duration());
        fan_outs.push(FanOut {
            parent,
            callee: callee.to_owned(),
            operation: operation.to_owned(),
            calls: calls.len() as u32,
            total_nanos: durations.fold(0, u64::saturating_add),
            at_once_max: at_once_max(spans, &calls),
        });
    }
}

fn at_once_max(spans: &[TreeSpan<'_>], calls: &[u32]) -> u32 {
    // An end sorts before a start of the same time: one after the other is not at once.
    let mut edges: Vec<(u64, bool)> = Vec::with_capacity(calls.len() * 2);
    for call in calls {
        let span = &spans[*call as usize];
        edges.push((span.start, true));
        edges.push((span.end.max(span.start.saturating_add(1)), false));
    }
    edges.sort_unstable();
    let (mut running, mut most) = (0u32, 0);
    for (_, starts) in edges {
        running = if starts { running + 1 } else { running.saturating_sub(1) };
        most = most.max(running);
    }
    most
}

fn collect_retries(spans: &[TreeSpan<'_>], tree: &Tree, parent: u32, retries: &mut Vec<Retry>) {
    // The callee is unknown for an attempt that never arrived, so attributes decide.
    let mut chains: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for child in &tree.nodes[parent as usize].children {
        let span = &spans[*child as usize];
        let chain = chains.entry((span.target, span.name)).or_default();
        let follows_failure = chain.last().is_some_and(|last| {
            let last = &spans[*last as usize];
            last.failed() && last.kind == span.kind && span.start >= last.end
        });
        if !follows_failure {
            let ended = std::mem::take(chain);
            retries.extend(retry(spans, parent, ended));
        }
        chain.push(*child);
    }
    retries.extend(chains.into_values().filter_map(|chain| retry(spans, parent, chain)));
}

fn retry(spans: &[TreeSpan<'_>], parent: u32, attempts: Vec<u32>) -> Option<Retry> {
    let [_, .., last] = attempts.as_slice() else { return None };
    let last = &spans[*last as usize];
    Some(Retry {
        parent,
        operation: last.name.to_owned(),
        target: last.target.to_owned(),
        succeeded: !last.failed(),
        attempts,
    })
}

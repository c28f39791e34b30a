// A trace in a few rows: what failed and who called it, what took the time, and the waits between
// retries. The whole is one link away.

export interface SpanLike {
  span_id: string;
  service: string;
  instance?: string | null;
  name: string;
  kind: string;
  status: string;
  status_message?: string;
  start_unix_nanos: number;
  duration_nanos: number;
}

export interface TreeLike {
  nodes: {
    parent?: number | null;
    children: number[];
    critical_nanos: number;
    self_nanos: number;
  }[];
  roots: number[];
  failures: { span: number; service: string; operation: string; callee: string; message: string }[];
  retries: { attempts: number[] }[];
}

export interface Row {
  key: string;
  name: string;
  about: string;
  depth: number;
  failed: boolean;
  /** A wait before a retry, not a span. */
  wait: boolean;
  /** Where it lies in the time of the trace, 0 to 1. */
  start: number;
  width: number;
  seconds: number;
}

export interface Excerpt {
  rows: Row[];
  /** Spans that have no row. */
  more: number;
}

export function excerpt(spans: SpanLike[], tree: TreeLike, rowsMax = 9): Excerpt {
  let [begin, end] = [Infinity, -Infinity];
  for (const { start_unix_nanos, duration_nanos } of spans) {
    begin = Math.min(begin, start_unix_nanos);
    end = Math.max(end, start_unix_nanos + duration_nanos);
  }
  const whole = Math.max(1, end - begin);
  const folded = (index: number) => isFolded(spans, tree, index);
  const weight = new Map<number, number>();
  const keep = (index: number | null | undefined, points: number) => {
    for (let at = index; at !== null && at !== undefined; at = tree.nodes[at]?.parent) {
      // Its callers are at least as heavy already.
      if ((weight.get(at) ?? -1) >= points) break;
      weight.set(at, points);
    }
  };
  for (const { span } of tree.failures) keep(span, 3e12);
  tree.nodes.forEach((node, index) => {
    keep(index, node.critical_nanos);
    if (spans[index]!.status === 'error') keep(index, 2e12);
  });
  if (tree.roots[0] !== undefined) weight.set(tree.roots[0], 4e12);
  const ranked = [...weight]
    .filter(([index]) => !folded(index))
    .sort(([a, heavy], [b, light]) => light - heavy || a - b);
  const chosen = new Set(ranked.slice(0, rowsMax).map(([index]) => index));

  const waits = waitsBetween(spans, tree, chosen);
  const rows: Row[] = [];
  const stack = tree.roots.map((index) => ({ index, depth: 0 })).reverse();
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const { index, depth } = at;
    const span = spans[index]!;
    const shown = chosen.has(index);
    const wait = waits.get(index);
    const place = (start: number, duration: number) => ({
      start: (start - begin) / whole,
      width: duration / whole,
      seconds: duration / 1e9,
    });
    if (wait !== undefined) {
      const begun = span.start_unix_nanos - wait;
      rows.push({
        key: `wait-${index}`,
        name: 'wait before retry',
        about: '',
        depth,
        failed: false,
        wait: true,
        ...place(begun, wait),
      });
    }
    if (shown) {
      rows.push({
        key: span.span_id,
        name: span.instance?.startsWith(span.service) ? span.instance : span.service,
        about: span.name,
        depth,
        failed: span.status === 'error',
        wait: false,
        ...place(span.start_unix_nanos, span.duration_nanos),
      });
    }
    const children = tree.nodes[index]?.children ?? [];
    for (const child of children.toReversed())
      stack.push({ index: child, depth: shown ? depth + 1 : depth });
  }
  return { rows, more: spans.length - rows.filter((row) => !row.wait).length };
}

/** A call whose callee tells of it as well: one row is enough. */
function isFolded(spans: SpanLike[], tree: TreeLike, index: number): boolean {
  const span = spans[index]!;
  if (span.kind !== 'client' && span.kind !== 'producer') return false;
  return (tree.nodes[index]?.children ?? []).some((child) => {
    const kind = spans[child]!.kind;
    return kind === 'server' || kind === 'consumer';
  });
}

/** Before which spans a retry waited, and how long, nanoseconds. */
function waitsBetween(spans: SpanLike[], tree: TreeLike, chosen: Set<number>): Map<number, number> {
  const waits = new Map<number, number>();
  const rowOf = (index: number) =>
    chosen.has(index) ? index : tree.nodes[index]?.children.find((child) => chosen.has(child));
  for (const { attempts } of tree.retries) {
    attempts.slice(1).forEach((attempt, before) => {
      const last = spans[attempts[before]!]!;
      const gap = spans[attempt]!.start_unix_nanos - last.start_unix_nanos - last.duration_nanos;
      const row = rowOf(attempt);
      if (row !== undefined && gap > 0) waits.set(row, gap);
    });
  }
  return waits;
}

/** Where the errors of a trace began, one sentence; empty where nothing failed. */
export function failureWords({ failures }: TreeLike): string {
  const first = failures[0];
  if (!first) return '';
  const whom = first.callee ? `, in its call to ${first.callee}` : '';
  const why = first.message ? `: ${first.message.replace(/\.$/, '')}` : '';
  return `Errors start in ${first.service} (${first.operation})${whom}${why}.`;
}

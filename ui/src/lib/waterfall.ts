// Where the bars of a trace stand: rows in the order of the tree, folding, time on the axis.
//
// Pure, and in flat arrays, so that 50,000 spans are laid out in a few milliseconds. A span is its
// place in the answer, a row its place in the whole tree (nothing folded). Times are nanoseconds
// since the start of the trace, which a number can hold exactly.

import type { SpanRecord, Trace } from '../api/schema';
import { fixed, THIN } from './format';

export interface Waterfall {
  /** Spans by row: each before its children, children by start. */
  spans: Uint32Array;
  /** Row by span; -1 for copies that are no part of the tree. */
  rows: Int32Array;
  depth: Uint32Array;
  /** The last row of the subtree that begins at a row. */
  last: Uint32Array;
  /** By span. */
  start: Float64Array;
  end: Float64Array;
  duration: number;
  /** By span: the parts of the critical path that are its own. */
  critical: Map<number, [number, number][]>;
}

type Shape = Pick<Trace, 'start' | 'duration_nanos' | 'tree'> & {
  spans: Pick<SpanRecord, 'start_unix_nanos' | 'duration_nanos' | 'start'>[];
};

/** Nanoseconds within the second of an RFC 3339 text. */
function fraction(time: string): number {
  const digits = time.slice(20, -1);
  return digits === '' ? 0 : Number(digits) * 10 ** (9 - digits.length);
}

/** Tells nanoseconds from a time (RFC 3339, UTC) to others; exact up to days, quick for many. */
export function since(from: string): (to: string) => number {
  const whole = (prefix: string) => Date.parse(`${prefix}Z`);
  const [start, rest] = [whole(from.slice(0, 19)), fraction(from)];
  // Most spans of a trace begin in the same few seconds.
  let known = { prefix: '', millis: 0 };
  return (to) => {
    const prefix = to.slice(0, 19);
    if (prefix !== known.prefix) known = { prefix, millis: whole(prefix) };
    return (known.millis - start) * 1e6 + (fraction(to) - rest);
  };
}

/** Nanoseconds from one time to another. */
export function between(from: string, to: string): number {
  return since(from)(to);
}

export function layOut(trace: Shape): Waterfall {
  const count = trace.spans.length;
  const { nodes, roots } = trace.tree;
  const spans = new Uint32Array(count);
  const rows = new Int32Array(count).fill(-1);
  const depth = new Uint32Array(count);
  const last = new Uint32Array(count);
  let length = 0;
  // A loop, not a recursion: a chain of 50,000 spans is a trace too.
  const stack: number[] = [];
  const push = (list: number[]) => {
    for (let at = list.length - 1; at >= 0; at -= 1) stack.push(list[at]!);
  };
  push(roots);
  while (stack.length > 0) {
    const span = stack.pop()!;
    if (rows[span] !== -1) continue;
    rows[span] = length;
    spans[length] = span;
    depth[length] = nodes[span]!.depth;
    length += 1;
    push(nodes[span]!.children);
  }
  closeSubtrees(depth, last, length);
  const start = new Float64Array(count);
  const end = new Float64Array(count);
  const sinceStart = since(trace.start);
  trace.spans.forEach((span, index) => {
    start[index] = sinceStart(span.start);
    end[index] = start[index]! + span.duration_nanos;
  });
  return {
    spans: spans.subarray(0, length),
    rows,
    depth: depth.subarray(0, length),
    last: last.subarray(0, length),
    start,
    end,
    duration: trace.duration_nanos,
    critical: criticalParts(trace, start),
  };
}

function closeSubtrees(depth: Uint32Array, last: Uint32Array, length: number): void {
  const open: number[] = [];
  for (let row = 0; row < length; row += 1) {
    while (open.length > 0 && depth[open.at(-1)!]! >= depth[row]!) last[open.pop()!] = row - 1;
    open.push(row);
  }
  for (const row of open) last[row] = length - 1;
}

function criticalParts(trace: Shape, start: Float64Array): Map<number, [number, number][]> {
  const parts = new Map<number, [number, number][]>();
  const root = trace.tree.roots[0];
  if (root === undefined) return parts;
  for (const segment of trace.tree.critical_path) {
    const own = parts.get(segment.span) ?? [];
    const offset = start[root]!;
    own.push([offset + segment.start_nanos, offset + segment.end_nanos]);
    parts.set(segment.span, own);
  }
  return parts;
}

/** The rows that are shown when those in `folded` hide what is below them. */
export function visibleRows(waterfall: Waterfall, folded: ReadonlySet<number>): Uint32Array {
  const { length } = waterfall.spans;
  const visible = new Uint32Array(length);
  let shown = 0;
  for (let row = 0; row < length; row += 1) {
    visible[shown] = row;
    shown += 1;
    if (folded.has(row)) row = waterfall.last[row]!;
  }
  return visible.subarray(0, shown);
}

export function hasChildren(waterfall: Waterfall, row: number): boolean {
  return waterfall.last[row]! > row;
}

/** The row of the parent; -1 at the top. */
export function parentRow(waterfall: Waterfall, row: number): number {
  const depth = waterfall.depth[row]!;
  if (depth === 0) return -1;
  for (let above = row - 1; above >= 0; above -= 1) {
    if (waterfall.depth[above]! < depth) return above;
  }
  return -1;
}

/** `folded` without the rows that hide `row`. */
export function revealed(
  waterfall: Waterfall,
  folded: ReadonlySet<number>,
  row: number,
): ReadonlySet<number> {
  const hiding = [...folded].filter((above) => above < row && waterfall.last[above]! >= row);
  if (hiding.length === 0) return folded;
  const less = new Set(folded);
  for (const above of hiding) less.delete(above);
  return less;
}

/** Every row that has children and lies at `depth` or deeper. */
export function foldedFrom(waterfall: Waterfall, depth: number): Set<number> {
  const folded = new Set<number>();
  for (let row = 0; row < waterfall.spans.length; row += 1) {
    if (waterfall.depth[row]! >= depth && hasChildren(waterfall, row)) folded.add(row);
  }
  return folded;
}

/** Where `row` stands among the rows shown; where it is hidden, the place of the one that hides it. */
export function placeOf(visible: Uint32Array, row: number): number {
  let [low, high] = [0, visible.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (visible[middle]! <= row) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** The part of the time that is shown. */
export interface Window {
  from: number;
  to: number;
}

const WINDOW_NANOS_MIN = 1_000;

/** A window within the trace, of at least a microsecond. */
export function clamped(window: Window, duration: number): Window {
  const whole = Math.max(duration, 1);
  const length = Math.min(Math.max(window.to - window.from, WINDOW_NANOS_MIN), whole);
  const from = Math.min(Math.max(window.from, 0), whole - length);
  return { from, to: from + length };
}

/** Closer (below 1) or wider (above 1) around `at`, which keeps its place. */
export function zoomedAround(window: Window, at: number, factor: number, duration: number): Window {
  return clamped(
    { from: at - (at - window.from) * factor, to: at + (window.to - at) * factor },
    duration,
  );
}

/** Round times between `from` and `to`, at most `most` of them, and their distance. */
export function ticks(window: Window, most: number): { at: number[]; step: number } {
  const length = Math.max(window.to - window.from, 1);
  const rough = length / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough)!;
  const at: number[] = [];
  for (let tick = Math.ceil(window.from / step) * step; tick <= window.to; tick += step)
    at.push(tick);
  return { at, step };
}

/** `at` with as many digits as `step` needs, in the unit of the window's length. */
export function tickText(at: number, step: number): string {
  const [size, unit] = step * 2 >= 1e9 ? [1e9, 's'] : step * 2 >= 1e6 ? [1e6, 'ms'] : [1e3, 'µs'];
  if (at === 0) return '0';
  const digits = Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9));
  return `${fixed(at / size, digits)}${THIN}${unit}`;
}

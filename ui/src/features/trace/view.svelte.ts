// What of a trace is in sight: what is folded, chosen, sought, and which part of its time.

import type { LogEntry, Trace } from '../../api/schema';
import { moved } from '../../lib/nanos';
import { here } from '../../lib/router.svelte';
import {
  between,
  clamped,
  foldedFrom,
  hasChildren,
  layOut,
  parentRow,
  placeOf,
  revealed,
  visibleRows,
  zoomedAround,
  type Window,
} from '../../lib/waterfall';

/** Log records may be stamped by another clock, or come a little before and after. */
const AROUND_NANOS = 60_000_000_000n;

export class TraceView {
  readonly trace: Trace;
  readonly waterfall;
  folded = $state.raw<ReadonlySet<number>>(new Set());
  visible = $derived.by(() => visibleRows(this.waterfall, this.folded));
  window = $state.raw<Window>({ from: 0, to: 1 });
  /** Shows what the root waited for. */
  critical = $state(true);
  sought = $state('');
  logs = $state.raw<LogEntry[]>([]);
  #byId: Map<string, number>;
  #texts: string[] | undefined;

  constructor(trace: Trace) {
    this.trace = trace;
    this.waterfall = layOut(trace);
    // Of spans with the same id the first that is in the tree.
    this.#byId = new Map();
    trace.spans.forEach(({ span_id }, index) => {
      if (!this.#byId.has(span_id) && this.rowOf(index) >= 0) this.#byId.set(span_id, index);
    });
    this.zoom({ from: 0, to: Infinity });
  }

  /** The span that the URL names. */
  chosen = $derived.by(() => this.#byId?.get(here.query.get('span') ?? ''));
  /** Rows whose span has what is sought, in order. */
  found = $derived.by(() => this.#find(this.sought.trim().toLowerCase()));
  /** Times of log records, by span. */
  logTimes = $derived.by(() => {
    const times = new Map<number, number[]>();
    for (const entry of this.logs) {
      const span = this.#byId.get(entry.span_id ?? '');
      if (span === undefined) continue;
      const at = between(this.trace.start, entry.time);
      times.set(span, [...(times.get(span) ?? []), at]);
    }
    return times;
  });

  /** The time to look for its log records in, for links. */
  get around(): { from: string; to: string } {
    const { start, duration_nanos } = this.trace;
    return {
      from: moved(start, -AROUND_NANOS),
      to: moved(start, BigInt(duration_nanos) + AROUND_NANOS),
    };
  }

  rowOf(span: number): number {
    return this.waterfall.rows[span]!;
  }

  /** The chosen row; -1 where none is. */
  get row(): number {
    return this.chosen === undefined ? -1 : this.rowOf(this.chosen);
  }

  choose(row: number | undefined): void {
    const span = row === undefined ? undefined : this.waterfall.spans[row];
    if (row !== undefined) this.folded = revealed(this.waterfall, this.folded, row);
    const id = span === undefined ? null : this.trace.spans[span]!.span_id;
    here.set({ span: id }, { replace: true });
  }

  /** To the next or previous of the rows in sight. */
  move(by: number): void {
    const place = this.row < 0 ? -1 : placeOf(this.visible, this.row);
    const next = Math.min(this.visible.length - 1, Math.max(0, place + by));
    this.choose(this.visible[next]);
  }

  toggle(row: number): void {
    const folded = new Set(this.folded);
    if (!folded.delete(row) && hasChildren(this.waterfall, row)) folded.add(row);
    this.folded = folded;
  }

  /** Folds the chosen row, or goes to its parent where there is nothing to fold. */
  left(): void {
    const row = this.row;
    if (row < 0) return;
    if (hasChildren(this.waterfall, row) && !this.folded.has(row)) this.toggle(row);
    else if (parentRow(this.waterfall, row) >= 0) this.choose(parentRow(this.waterfall, row));
  }

  /** Opens the chosen row, or goes to its first child. */
  right(): void {
    const row = this.row;
    if (row < 0 || !hasChildren(this.waterfall, row)) return;
    if (this.folded.has(row)) this.toggle(row);
    else this.choose(row + 1);
  }

  foldAll(): void {
    const deepest = this.folded.size > 0;
    this.folded = deepest ? new Set() : foldedFrom(this.waterfall, 1);
  }

  zoom(window: Window): void {
    this.window = clamped(window, this.trace.duration_nanos);
  }

  zoomAround(at: number, factor: number): void {
    this.window = zoomedAround(this.window, at, factor, this.trace.duration_nanos);
  }

  /** The chosen span fills the width; once more, and the whole trace does. */
  zoomToChosen(): void {
    const span = this.chosen;
    if (span === undefined) return this.zoom({ from: 0, to: Infinity });
    const [start, end] = [this.waterfall.start[span]!, this.waterfall.end[span]!];
    const around = Math.max((end - start) * 0.1, 500);
    const wanted = clamped({ from: start - around, to: end + around }, this.trace.duration_nanos);
    const already = wanted.from === this.window.from && wanted.to === this.window.to;
    this.zoom(already ? { from: 0, to: Infinity } : wanted);
  }

  /** To the next row of `rows` after the chosen one, round and round. */
  next(rows: number[], by: 1 | -1): void {
    if (rows.length === 0) return;
    const here = this.row;
    const after = by > 0 ? rows.find((row) => row > here) : rows.findLast((row) => row < here);
    this.choose(after ?? (by > 0 ? rows[0] : rows.at(-1)));
  }

  get failedRows(): number[] {
    return [...this.waterfall.spans].flatMap((span, row) =>
      this.trace.spans[span]!.status === 'error' ? [row] : [],
    );
  }

  #find(text: string): number[] {
    if (text === '') return [];
    this.#texts ??= this.trace.spans.map((span) =>
      `${span.service} ${span.name} ${span.span_id} ${span.status_message ?? ''} ${Object.entries(
        span.attributes,
      )
        .map(
          ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
        )
        .join(' ')}`.toLowerCase(),
    );
    const rows: number[] = [];
    for (let row = 0; row < this.waterfall.spans.length; row += 1) {
      if (this.#texts[this.waterfall.spans[row]!]!.includes(text)) rows.push(row);
    }
    return rows;
  }
}

import { describe, expect, it } from 'vitest';
import type { Node, Trace } from '../api/schema';
import * as wf from './waterfall';

const START = '2026-03-01T12:00:00.000000500Z';

/** A trace of spans given as `[parent, start, duration]`, in nanoseconds. */
function trace(list: [number | null, number, number][]): Parameters<typeof wf.layOut>[0] {
  const nodes = list.map(() => ({ children: [] as number[], depth: 0 })) as unknown as Node[];
  const roots: number[] = [];
  list.forEach(([parent], index) => {
    if (parent === null) roots.push(index);
    else {
      nodes[parent]!.children.push(index);
      nodes[index]!.depth = nodes[parent]!.depth + 1;
    }
  });
  return {
    start: START,
    duration_nanos: Math.max(...list.map(([, start, duration]) => start + duration)),
    tree: { nodes, roots, critical_path: [] } as unknown as Trace['tree'],
    spans: list.map(([, start, duration]) => ({
      start: `2026-03-01T12:00:00.${String(500 + start).padStart(9, '0')}Z`,
      start_unix_nanos: 0,
      duration_nanos: duration,
    })),
  };
}

//  0 ─┬─ 1 ─── 3
//     └─ 2
//  4
const SMALL = trace([
  [null, 0, 100],
  [0, 10, 40],
  [0, 60, 20],
  [1, 15, 5],
  [null, 90, 10],
]);

describe('layOut', () => {
  const laid = wf.layOut(SMALL);
  it('puts each span before its children and after its elder siblings', () => {
    expect([...laid.spans]).toEqual([0, 1, 3, 2, 4]);
    expect([...laid.rows]).toEqual([0, 1, 3, 2, 4]);
    expect([...laid.last]).toEqual([3, 2, 2, 3, 4]);
  });
  it('keeps nanoseconds', () => {
    expect([...laid.start]).toEqual([0, 10, 60, 15, 90]);
    expect([...laid.end]).toEqual([100, 50, 80, 20, 100]);
  });
  it('leaves out what is no part of the tree', () => {
    const copy = trace([
      [null, 0, 10],
      [null, 0, 10],
    ]);
    copy.tree.roots = [0];
    expect([...wf.layOut(copy).rows]).toEqual([0, -1]);
  });
  it('takes a chain of 50,000 spans', { timeout: 60_000 }, () => {
    const chain = trace(Array.from({ length: 50_000 }, (_, at) => [at ? at - 1 : null, at, 1]));
    const laid = wf.layOut(chain);
    expect(laid.depth.at(-1)).toBe(49_999);
    expect(laid.last[0]).toBe(49_999);
    expect(wf.parentRow(laid, 49_999)).toBe(49_998);
  });
  it('places the critical path on the axis of the trace', () => {
    const early = trace([
      [null, 0, 5],
      [null, 10, 50],
    ]);
    early.tree.roots = [1, 0];
    early.tree.critical_path = [{ span: 1, start_nanos: 0, end_nanos: 50 }];
    expect(wf.layOut(early).critical.get(1)).toEqual([[10, 60]]);
  });
});

describe('folding', () => {
  const laid = wf.layOut(SMALL);
  it('hides what is below, and tells where a hidden row would be', () => {
    const visible = wf.visibleRows(laid, new Set([1]));
    expect([...visible]).toEqual([0, 1, 3, 4]);
    expect(wf.placeOf(visible, 2)).toBe(1);
    expect(wf.placeOf(visible, 3)).toBe(2);
  });
  it('opens all that hides a row, and no more', () => {
    expect([...wf.revealed(laid, new Set([0, 1, 4]), 2)]).toEqual([4]);
    const folded = new Set([4]);
    expect(wf.revealed(laid, folded, 2)).toBe(folded);
  });
  it('folds from a depth on', () => {
    expect([...wf.foldedFrom(laid, 1)]).toEqual([1]);
    expect([...wf.visibleRows(laid, wf.foldedFrom(laid, 0))]).toEqual([0, 4]);
  });
  it('finds parents', () => {
    expect([0, 1, 2, 3, 4].map((row) => wf.parentRow(laid, row))).toEqual([-1, 0, 1, 0, -1]);
  });
});

describe('the axis', () => {
  it('stays within the trace', () => {
    expect(wf.clamped({ from: -50, to: 5_000 }, 10_000)).toEqual({ from: 0, to: 5_050 });
    expect(wf.clamped({ from: 9_999, to: 10_500 }, 10_000)).toEqual({ from: 9_000, to: 10_000 });
    expect(wf.clamped({ from: 0, to: 1e12 }, 10_000)).toEqual({ from: 0, to: 10_000 });
  });
  it('keeps the point that is zoomed around', () => {
    expect(wf.zoomedAround({ from: 0, to: 100_000 }, 25_000, 0.5, 100_000)).toEqual({
      from: 12_500,
      to: 62_500,
    });
  });
  it('has round ticks', () => {
    const { at, step } = wf.ticks({ from: 0, to: 402e6 }, 5);
    expect(at.map((one) => wf.tickText(one, step).replace('\u202f', ' '))).toEqual([
      '0',
      '100 ms',
      '200 ms',
      '300 ms',
      '400 ms',
    ]);
    const close = wf.ticks({ from: 1.2e6, to: 1.26e6 }, 3);
    expect(close.at.map((one) => wf.tickText(one, close.step).replace('\u202f', ' '))).toEqual([
      '1,200 µs',
      '1,220 µs',
      '1,240 µs',
      '1,260 µs',
    ]);
  });
});

describe('between', () => {
  it('is exact where milliseconds are not', () => {
    expect(wf.between('2026-03-01T12:00:00.999Z', '2026-03-01T12:00:01.000000001Z')).toBe(
      1_000_001,
    );
    expect(wf.between('2026-03-01T12:00:00Z', '2026-03-01T12:00:00.5Z')).toBe(5e8);
  });
});

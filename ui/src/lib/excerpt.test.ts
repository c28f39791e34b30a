import { describe, expect, it } from 'vitest';
import { excerpt, failureWords } from './excerpt';

const span = (
  id: string,
  service: string,
  kind: string,
  start: number,
  length: number,
  status = 'unset',
) => ({
  span_id: id,
  service,
  name: `op ${id}`,
  kind,
  status,
  start_unix_nanos: start,
  duration_nanos: length,
});
const node = (parent: number | null, children: number[], critical_nanos = 0) => ({
  parent,
  children,
  critical_nanos,
  self_nanos: 0,
});
const spans = [
  span('a', 'web', 'server', 0, 1000, 'error'),
  span('b', 'web', 'client', 10, 100, 'error'),
  span('c', 'payment', 'server', 20, 80, 'error'),
  span('d', 'web', 'client', 400, 100, 'error'),
  span('e', 'payment', 'server', 410, 80, 'error'),
];
const tree = {
  nodes: [node(null, [1, 3], 800), node(0, [2]), node(1, [], 80), node(0, [4]), node(3, [], 80)],
  roots: [0],
  failures: [{ span: 2, service: 'payment', operation: 'op c', callee: '', message: 'no card.' }],
  retries: [{ attempts: [1, 3] }],
};

describe('excerpt', () => {
  it('shows a call once and the wait before its retry', () => {
    const { rows, more } = excerpt(spans, tree);
    expect(rows.map((row) => [row.name, row.depth, row.wait])).toEqual([
      ['web', 0, false],
      ['payment', 1, false],
      ['wait before retry', 1, true],
      ['payment', 1, false],
    ]);
    expect(rows[2]!.seconds).toBeCloseTo(290e-9);
    expect(more).toBe(2);
  });
  it('keeps what failed when there is no room for all', () => {
    const { rows } = excerpt(spans, tree, 2);
    expect(rows.filter((row) => !row.wait).map((row) => row.key)).toEqual(['a', 'c']);
  });
});

describe('failureWords', () => {
  it('names where errors began', () => {
    expect(failureWords(tree)).toBe('Errors start in payment (op c): no card.');
    expect(failureWords({ ...tree, failures: [] })).toBe('');
  });
});

import { describe, expect, it } from 'vitest';
import type { Changes } from '../api/schema';
import { changeMarks, openTimes } from './marks';

const T = Date.parse('2026-03-01T12:00:00Z');
const at = (minutes: number) => new Date(T + minutes * 60_000).toISOString();

describe('changeMarks', () => {
  const changes = {
    changes: [
      { at: at(1), entity: { name: 'cart', part_of: '' }, summary: 'v1 -> v2', blamed_by: [3] },
      { at: at(2), entity: { name: 'cart-1', part_of: 'cart' }, summary: 'restart', blamed_by: [] },
      { at: at(3), entity: { name: 'web', part_of: '' }, summary: 'flag', blamed_by: [] },
    ],
    truncated: false,
  } as unknown as Changes;
  it('are those of the service, or all', () => {
    expect(changeMarks(changes, 'cart').map((mark) => mark.label)).toEqual([
      'cart: v1 -> v2',
      'cart: restart',
    ]);
    expect(changeMarks(changes, null).map((mark) => mark.blamed)).toEqual([true, false, false]);
    expect(changeMarks(undefined, null)).toEqual([]);
  });
});

describe('openTimes', () => {
  it('are cut to the range', () => {
    const incident = (id: number, onset: number, resolved?: number) => ({
      id,
      title: '',
      onset: at(onset),
      resolved: resolved === undefined ? null : at(resolved),
    });
    const times = openTimes(
      [incident(1, -20, -10), incident(2, -5, 3), incident(3, 8)],
      T,
      T + 600_000,
    );
    expect(times.map(({ id, from, to }) => [id, (from - T) / 60_000, (to - T) / 60_000])).toEqual([
      [3, 8, 10],
      [2, 0, 3],
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { bandCounts, bandLimits, EDGES_MS } from './durations';

describe('bandCounts', () => {
  it('takes from each band what the next one has', () => {
    const counts = (spans: number[]) => spans.map((n) => ({ time: '', spans: n, errors: 0 }));
    const cells = bandCounts([counts([10, 4]), counts([6, 4]), counts([0, 1])]);
    expect(cells.map((column) => column.slice(0, 4))).toEqual([
      [4, 6, 0, 0],
      [0, 3, 1, 0],
    ]);
    expect(cells[0]).toHaveLength(EDGES_MS.length + 1);
  });
});

describe('bandLimits', () => {
  it('is open at both ends', () => {
    expect(bandLimits(0, 0)).toEqual({ min: undefined, max: '1ms' });
    expect(bandLimits(1, 2)).toEqual({ min: '1ms', max: '10ms' });
    expect(bandLimits(9, 9)).toEqual({ min: '10000ms', max: undefined });
  });
});

import { describe, expect, it } from 'vitest';
import { even, inSight, linesOf, uneven } from './rows';

describe('rows', () => {
  it('are found by height whether they are even or not', () => {
    const same = [even(5, 20), uneven(5, () => 20)];
    for (const rows of same) {
      expect(rows.total).toBe(100);
      expect([-5, 0, 19, 20, 99, 500].map(rows.at)).toEqual([0, 0, 0, 1, 4, 4]);
      expect(rows.top(3)).toBe(60);
    }
    const rows = uneven(3, (index) => [10, 50, 10][index]!);
    expect([9, 10, 59, 60].map(rows.at)).toEqual([0, 1, 1, 2]);
  });
  it('draws what is in sight and a few around', () => {
    expect(inSight(even(1_000, 20), 2_000, 100, 2)).toEqual({ from: 98, to: 108 });
    expect(inSight(even(3, 20), 0, 100, 2)).toEqual({ from: 0, to: 3 });
    expect(inSight(even(0, 20), 0, 100, 2)).toEqual({ from: 0, to: 0 });
  });
});

describe('linesOf', () => {
  it('counts lines of their own and those that are broken', () => {
    expect(linesOf('', 10)).toBe(1);
    expect(linesOf('a'.repeat(21), 10)).toBe(3);
    expect(linesOf('a\nbb\n', 10)).toBe(3);
  });
});

import { describe, expect, it } from 'vitest';
import * as bars from './bars';

const noon = Date.parse('2026-03-01T12:00:00Z');

describe('timeTicks', () => {
  it('stand at round times', () => {
    const ticks = bars.timeTicks(noon - 3_599_000, noon, 5);
    const labels = ticks.map((at) => bars.tickLabel(at, noon - 3_599_000, noon));
    expect(labels).toEqual(['11:15', '11:30', '11:45', '12:00']);
  });
  it('tell seconds and days where they matter', () => {
    expect(bars.tickLabel(noon, noon - 60_000, noon)).toBe('12:00:00');
    expect(bars.tickLabel(noon, noon - 7 * 86_400_000, noon)).toBe('1 Mar');
  });
});

describe('roundTop', () => {
  it('is a number that people read quickly', () => {
    expect([0, 1, 3, 21, 99, 501].map(bars.roundTop)).toEqual([1, 1, 3, 30, 100, 600]);
  });
});

describe('stepMillis', () => {
  it('gives about as many windows as asked for', () => {
    expect(bars.stepMillis(noon - 3_600_000, noon, 60)).toBe(60_000);
    expect(bars.stepMillis(noon - 900_000, noon, 60)).toBe(15_000);
    expect(bars.stepMillis(noon - 10_000, noon, 60)).toBe(200);
  });
});

describe('spanned', () => {
  it('does not care where a drag began', () => {
    const bins = [0, 10, 20].map((start) => ({ start, end: start + 10 }));
    expect(bars.spanned(bins, 2, 1)).toEqual([10, 30]);
    expect(bars.spanned(bins, 0, 0)).toEqual([0, 10]);
  });
});

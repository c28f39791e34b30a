import { describe, expect, it } from 'vitest';
import { areaPath, linePath, placed, ticks, type Marker } from './lanes';

const size = { width: 100, height: 12, low: 0, high: 10 };

describe('linePath', () => {
  it('never joins a gap', () => {
    expect(linePath([0, 10, null, 10, 0], size)).toBe('M0.0 11.0L25.0 1.0M75.0 1.0L100.0 11.0');
  });
  it('draws a point alone as a dash', () => {
    expect(linePath([null, 5, null], size)).toBe('M48.0 6.0h4');
  });
});

describe('areaPath', () => {
  it('closes each run on its level', () => {
    expect(areaPath([0, 10, null, 10], size, 0)).toBe('M0.0 11.0L0.0 11.0L33.3 1.0L33.3 11.0Z');
  });
});

describe('ticks', () => {
  it('stand at round times', () => {
    expect(ticks(1_000, 301_000).map((at) => at / 1000)).toEqual([60, 120, 180, 240, 300]);
  });
});

describe('placed', () => {
  const marker = (at: number, blamed = false): Marker => ({
    at,
    label: 'payment 2.14.0',
    kind: 'change',
    blamed,
  });
  it('puts no words on others, and those that are blamed first', () => {
    const found = placed([marker(500), marker(510, true), marker(520)], 0, 1000, 400);
    const rows = found.map(({ row, side }) => `${row}${side}`);
    expect(new Set(rows).size).toBe(3);
    expect(found.find((one) => one.marker.blamed)).toMatchObject({ row: 0, side: 'left' });
  });
  it('leaves words out where there is no room', () => {
    const many = Array.from({ length: 20 }, (_, index) => marker(500 + index));
    expect(placed(many, 0, 1000, 200).some((one) => !one.worded)).toBe(true);
  });
});

import { describe, expect, it } from 'vitest';
import * as format from './format';

const plain = (text: string) => text.replaceAll(format.THIN, ' ');

describe('number', () => {
  it('keeps three significant digits', () => {
    expect([1351, 0.02134, 9.6, 204, -3.14159, 0, 99.96].map(format.number)).toEqual([
      '1,351',
      '0.0213',
      '9.6',
      '204',
      '−3.14',
      '0',
      '100',
    ]);
  });
  it('never takes absent for zero', () => {
    expect([undefined, null, NaN].map(format.number)).toEqual(['–', '–', '–']);
  });
});

describe('percent', () => {
  it('never rounds a lost request away', () => {
    expect(
      [1, 0.99999, 0.9998, 0.904, 0.0002, 0.0000001, 0].map(format.percent).map(plain),
    ).toEqual(['100 %', '99.999 %', '99.98 %', '90.4 %', '0.02 %', '<0.001 %', '0 %']);
    expect(plain(format.percent(0.9999999))).toBe('99.999 %');
  });
});

describe('took', () => {
  it('chooses the unit that people would', () => {
    expect([0.0000412, 0.688, 1.4, 370, 0].map(format.took).map(plain)).toEqual([
      '41.2 µs',
      '688 ms',
      '1.4 s',
      '6 min 10 s',
      '0 s',
    ]);
  });
});

describe('duration', () => {
  it('has at most two units that follow each other', () => {
    expect([0, 59.6, 3600, 3605, 792_000].map(format.duration).map(plain)).toEqual([
      '0 s',
      '1 min',
      '1 h',
      '1 h',
      '9 d 4 h',
    ]);
  });
});

describe('short and bytes', () => {
  it('shorten large amounts', () => {
    expect([9_999, 41_200, 3_100_000].map(format.short).map(plain)).toEqual([
      '9,999',
      '41.2 k',
      '3.1 M',
    ]);
    expect([0, 1023, 35_651_584].map(format.bytes).map(plain)).toEqual([
      '0 B',
      '1,023 B',
      '34 MiB',
    ]);
  });
});

describe('listed', () => {
  it('counts what it leaves out', () => {
    expect(format.listed(['a'])).toBe('a');
    expect(format.listed(['a', 'b'])).toBe('a and b');
    expect(format.listed(['a', 'b', 'c', 'd'])).toBe('a, b and 2 more');
  });
});

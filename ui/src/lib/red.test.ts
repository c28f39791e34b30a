import { describe, expect, it } from 'vitest';
import * as red from './red';

describe('selector', () => {
  it('quotes what is not a plain name, and takes any of a list', () => {
    const labels = { service: 'a"b\\c', of: undefined, quantile: ['0.5', '0.95'] };
    expect(red.selector('immune.duration', labels)).toBe(
      'immune.duration{"service"="a\\"b\\\\c","quantile"=~"0\\\\.5|0\\\\.95"}',
    );
    expect(red.selector('my metric', {})).toBe('"my metric"{}');
    expect(red.selector('', { service: 'cart' })).toBe('{"service"="cart"}');
  });
});

describe('grouped', () => {
  it('adds up what is of one group and one time', () => {
    const of = (operation: string, kind: string, points: [number, number | null][]) => ({
      labels: { operation, 'error.type': kind },
      points,
    });
    const groups = red.grouped(
      [
        of('GET /a', 'http_500', [
          [10, 1],
          [0, 2],
        ]),
        of('GET /a', 'timeout', [
          [10, 3],
          [20, null],
        ]),
        of('GET /b', 'timeout', [[0, 5]]),
      ],
      (labels) => labels.operation,
    );
    expect(groups.get('GET /a')).toEqual([
      [0, 2],
      [10, 4],
    ]);
    expect(groups.get('GET /b')).toEqual([[0, 5]]);
  });
});

describe('settled', () => {
  it('leaves out the window that is not over, and takes the others back by a bucket', () => {
    expect(
      red.settled(
        [
          [0, 1],
          [60_000, 2],
        ],
        60_000,
        90_000,
      ),
    ).toEqual([[-10_000, 1]]);
  });
});

describe('shareOf', () => {
  it('takes an absent part for none, and an absent whole for unknown', () => {
    expect(
      red.shareOf(
        [
          [0, 1],
          [20, 3],
        ],
        [
          [0, 4],
          [10, 2],
          [20, 0],
        ],
      ),
    ).toEqual([
      [0, 0.25],
      [10, 0],
      [20, null],
    ]);
  });
});

describe('evenly', () => {
  it('keeps gaps', () => {
    expect(
      red.evenly(
        [
          [-10_000, 1],
          [50_000, 2],
          [170_000, 3],
        ],
        0,
        180_000,
        60_000,
      ),
    ).toEqual([1, 2, null]);
  });
});

describe('together', () => {
  it('adds up groups', () => {
    expect(
      red.together([
        [[0, 1]],
        [
          [0, 2],
          [10, 1],
        ],
      ]),
    ).toEqual([
      [0, 3],
      [10, 1],
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import * as points from './points';

describe('total', () => {
  it('adds up what is of one time and leaves gaps', () => {
    const line = points.total(
      [
        {
          labels: { kind: 'a' },
          points: [
            [0, 1],
            [10, null],
            [20, 3],
          ],
        },
        { labels: { kind: 'a' }, points: [[0, 2]] },
        { labels: { kind: 'b' }, points: [[0, 100]] },
      ],
      (labels) => labels.kind === 'a',
    );
    expect(points.aligned(line, [0, 10, 20])).toEqual([3, null, 3]);
  });
});

describe('share', () => {
  it('takes no errors for none and no requests for unknown', () => {
    const line = points.share(
      new Map([[0, 5]]),
      new Map([
        [0, 10],
        [10, 4],
      ]),
    );
    expect(points.aligned(line, [0, 10, 20])).toEqual([0.5, 0, null]);
  });
});

describe('windows', () => {
  it('lie at multiples of the step', () => {
    expect(points.windows(12, 35, 10)).toEqual([10, 20, 30]);
  });
});

describe('roundUp', () => {
  it('finds the end of an axis', () => {
    expect([0, 0.3, 0.93, 7, 12, 480].map(points.roundUp)).toEqual([1, 0.5, 1, 10, 20, 500]);
  });
});

describe('selector', () => {
  it('quotes labels and values', () => {
    const labels = { of: 'edge', 'service~': points.anyOf(['a.b', 'c"d']) };
    expect(points.selector('immune.requests', labels)).toBe(
      'immune.requests{"of"="edge","service"=~"a\\\\.b|c\\"d"}',
    );
  });
});

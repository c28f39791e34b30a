import { describe, expect, it } from 'vitest';
import * as chart from './chart';
import { THIN } from './format';

const at = (text: string) => Date.parse(`2026-03-01T${text}Z`);

describe('align', () => {
  it('joins what only another line interrupts, and breaks what was not told', () => {
    const aligned = chart.align(
      [
        {
          name: 'a',
          points: [
            [0, 1],
            [10, 2],
            [40, 3],
            [50, 4],
          ],
        },
        {
          name: 'b',
          points: [
            [5, 7],
            [15, 8],
          ],
        },
      ],
      10,
    );
    expect(aligned.times).toEqual([0, 5, 10, 15, 20, 40, 50]);
    expect(aligned.values[0]).toEqual([1, undefined, 2, undefined, null, 3, 4]);
    expect(aligned.values[1]).toEqual([
      undefined,
      7,
      undefined,
      8,
      undefined,
      undefined,
      undefined,
    ]);
  });
  it('finds points that stand alone', () => {
    const points: chart.ChartPoint[] = [
      [0, 1],
      [10, 1],
      [100, 5],
      [200, null],
      [300, 6],
    ];
    expect(chart.align([{ name: 'a', points }], 10).lonely).toEqual([[3, 7]]);
  });
  it('guesses the step where none is given', () => {
    const points: chart.ChartPoint[] = [
      [0, 1],
      [10, 1],
      [25, 1],
      [100, 1],
      [110, 1],
    ];
    expect(chart.align([{ name: 'a', points }]).values[0]).toEqual([1, 1, 1, null, 1, 1]);
  });
  it('takes no points at all', () => {
    expect(chart.align([{ name: 'a', points: [] }]).times).toEqual([]);
  });
});

describe('nearest', () => {
  it('finds the closer neighbour, and the ends beyond them', () => {
    const times = [0, 10, 20];
    expect([-5, 4, 6, 15, 99].map((time) => chart.nearest(times, time))).toEqual([0, 0, 1, 1, 2]);
    expect(chart.nearest([], 1)).toBeUndefined();
  });
});

describe('valueScale', () => {
  it('begins at zero and ends at a round number', () => {
    const { low, high, ticks } = chart.valueScale([12, 54.1]);
    expect([low, high, ticks]).toEqual([0, 60, [0, 20, 40, 60]]);
  });
  it('does not make much of little where it is told so', () => {
    expect(chart.valueScale([0.0002], { least: 0.01 }).high).toBe(0.01);
    expect(chart.valueScale([0, 0]).high).toBe(1);
  });
  it('keeps both ends that were given', () => {
    const scale = chart.valueScale([0.999], { low: 0.88, high: 1 });
    expect([scale.low, scale.high, scale.at(0.94)]).toEqual([0.88, 1, expect.closeTo(0.5)]);
    expect(scale.ticks).toEqual([0.9, 0.95, 1]);
  });
  it('counts bytes by 1,024', () => {
    expect(chart.valueScale([200 * 2 ** 20], { binary: true }).ticks).toEqual(
      [0, 100, 200].map((mebibytes) => mebibytes * 2 ** 20),
    );
  });
  it('goes by tens where it is logarithmic', () => {
    const scale = chart.valueScale([0.004, 0.7, 0], { log: true });
    expect(scale.ticks).toEqual([0.001, 0.01, 0.1, 1]);
    expect(scale.at(0.1)).toBeCloseTo(2 / 3);
  });
  it('shows what is below zero', () => {
    expect(chart.valueScale([-3, 6]).ticks).toEqual([-5, 0, 5, 10]);
  });
});

describe('timeTicks', () => {
  it('stands on round times', () => {
    const ticks = chart.timeTicks(at('02:03:00'), at('03:03:00'), 4);
    expect(ticks.map((tick) => tick.label)).toEqual(['02:15', '02:30', '02:45', '03:00']);
  });
  it('says the day where a day begins, and seconds where they matter', () => {
    const day = chart.timeTicks(at('12:00:00'), at('12:00:00') + 86_400_000, 4);
    expect(day.map((tick) => tick.label)).toEqual(['12:00', '18:00', '2 Mar', '06:00', '12:00']);
    expect(chart.timeTicks(at('02:00:05'), at('02:00:25'), 2)[0]!.label).toBe('02:00:10');
  });
});

describe('stepFor', () => {
  it('is a multiple of the buckets', () => {
    expect(chart.stepFor(0, 3_600_000, 240)).toBe(30_000);
    expect(chart.stepFor(0, 300_000, 240)).toBe(10_000);
    expect(chart.stepFor(0, 7 * 86_400_000, 240)).toBe(3_600_000);
  });
});

describe('against', () => {
  it('says how far a value is from usual', () => {
    const said = [chart.against(128, 100), chart.against(340, 100), chart.against(70, 100)];
    expect(said).toEqual([`+28${THIN}%`, '×3.4', `−30${THIN}%`]);
    expect(chart.against(1, 0)).toBe('');
  });
});

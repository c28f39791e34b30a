import { describe, expect, it } from 'vitest';
import { placed, ticksBetween } from './moments';

describe('placed', () => {
  const at = (seconds: number, label: string) => ({ at: seconds * 1_000, label });
  it('puts words that would cover others into the next row', () => {
    const moments = [at(0, 'injected'), at(1, 'in effect'), at(60, 'acted')];
    const rows = placed(moments, 0, 100_000, 800).map(({ row }) => row);
    expect(rows).toEqual([0, 1, 0]);
  });
  it('turns words to the left where they would leave the axis', () => {
    const [last] = placed([at(99, 'the fault is undone')], 0, 100_000, 800);
    expect(last).toMatchObject({ row: 0, leftwards: true });
  });
  it('keeps what lies outside at the ends, in order of time', () => {
    const list = placed([at(200, 'late'), at(-5, 'early')], 0, 100_000, 800);
    expect(list.map(({ moment, left }) => [moment.label, left])).toEqual([
      ['early', 0],
      ['late', 1],
    ]);
  });
});

describe('ticksBetween', () => {
  it('stand on round numbers', () => {
    expect(ticksBetween(-12, 64, 8)).toEqual([-10, 0, 10, 20, 30, 40, 50, 60]);
    expect(ticksBetween(0, 240, 6)).toEqual([0, 60, 120, 180, 240]);
  });
});

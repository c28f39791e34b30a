import { describe, expect, it } from 'vitest';
import type { TraceSummary } from '../api/schema';
import { nextPage, withoutKnown } from './tracepages';

const trace = (id: string) =>
  ({
    trace_id: id,
    best_start: '2026-03-01T12:00:00.000000007Z',
    best_duration_nanos: 1_500_001,
  }) as TraceSummary;

describe('nextPage', () => {
  it('goes on where the last one stood, and takes that in', () => {
    const filter = { service: 'cart', to: 'x' };
    expect(nextPage(filter, 'newest', trace('a'))).toEqual({
      service: 'cart',
      to: '2026-03-01T12:00:00.000000008Z',
    });
    expect(nextPage(filter, 'slowest', trace('a'))).toEqual({ ...filter, max_duration: '2ms' });
  });
});

describe('withoutKnown', () => {
  it('lists each trace once', () => {
    const fresh = withoutKnown([trace('a'), trace('b')], [trace('a')]);
    expect(fresh.map((one) => one.trace_id)).toEqual(['b']);
  });
});

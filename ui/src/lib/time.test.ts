import { describe, expect, it } from 'vitest';
import * as time from './time';

const now = Date.parse('2026-03-01T12:00:00Z');

describe('rangeOf', () => {
  it('falls back to the last hour where the URL makes no sense', () => {
    for (const query of [
      '',
      'last=1y',
      'last=0m',
      'from=x&to=y',
      'from=2026-03-02&to=2026-03-01',
    ]) {
      expect(time.rangeOf(new URLSearchParams(query))).toEqual({ last: '1h' });
    }
  });
  it('reads back what it wrote', () => {
    for (const range of [{ last: '15m' }, { last: '1h' }, { from: now - 60_000, to: now }]) {
      const written = Object.entries(time.rangeQuery(range)).filter(([, v]) => v !== undefined);
      expect(time.rangeOf(new URLSearchParams(written as [string, string][]))).toEqual(range);
    }
  });
});

describe('shifted', () => {
  it('goes back by half and comes back to live', () => {
    const earlier = time.shifted({ last: '1h' }, -1, now);
    expect(earlier).toEqual({ from: now - 5_400_000, to: now - 1_800_000 });
    expect(time.shifted(earlier, 1, now)).toEqual({ last: '1h' });
  });
});

describe('zoomed', () => {
  it('keeps a live range live', () => {
    expect(time.zoomed({ last: '1h' }, 2, now)).toEqual({ last: '2h' });
    expect(time.zoomed({ last: '1h' }, 0.5, now)).toEqual({ last: '30m' });
  });
  it('never reaches beyond now', () => {
    const range = time.zoomed({ from: now - 60_000, to: now }, 2, now);
    expect(range).toEqual({ from: now - 90_000, to: now });
  });
});

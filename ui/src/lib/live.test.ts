import { describe, expect, it } from 'vitest';
import { flowsBetween, replaced } from './live';

describe('flowsBetween', () => {
  const counts = (items: number, transport = 'grpc', refused_requests = 0) => ({
    signal: 'traces',
    transport,
    items,
    refused_requests,
  });
  it('adds the transports of a signal', () => {
    const flows = flowsBetween(
      [counts(100), counts(50, 'http')],
      [counts(300), counts(70, 'http', 4)],
      2,
    );
    expect(flows).toEqual([{ signal: 'traces', items_per_s: 110, refused_per_s: 2 }]);
  });
  it('counts from zero after the server began anew', () => {
    expect(flowsBetween([counts(5_000)], [counts(30)], 3)[0]!.items_per_s).toBe(10);
  });
});

describe('replaced', () => {
  it('puts one in the place of its number, and a new one where its number belongs', () => {
    const list = [{ id: 5 }, { id: 3 }];
    const one = { id: 3, state: 'done' };
    expect(replaced(list, one)).toEqual([{ id: 5 }, one]);
    expect(replaced(list, { id: 6 })!.map((x) => x.id)).toEqual([6, 5, 3]);
    expect(replaced(list, { id: 4 })!.map((x) => x.id)).toEqual([5, 4, 3]);
    expect(replaced(list, { id: 1 })!.map((x) => x.id)).toEqual([5, 3, 1]);
  });
  it('makes no list of what was never asked for', () => {
    expect(replaced(undefined, { id: 1 })).toBeUndefined();
  });
});

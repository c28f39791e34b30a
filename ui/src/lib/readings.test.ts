import { describe, expect, it } from 'vitest';
import type { ObjectiveState } from '../api/schema';
import { isWell, named, promised, worstFirst } from './readings';

function state(change: object): ObjectiveState {
  return {
    source: 'default',
    entity: { scope: {}, kind: 'service', part_of: '', name: 'cart' },
    kind: 'availability_burn',
    objective: 0.99,
    threshold_seconds: null,
    health: 'well',
    good_ratio_1m: 1,
    ...change,
  } as unknown as ObjectiveState;
}

describe('readings', () => {
  it('are of the objectives that are named, by their own name or their service', () => {
    const orders = state({
      source: 'orders-in-time',
      entity: { kind: 'operation', part_of: 'gateway', name: 'POST /orders' },
    });
    const all = [state({}), orders];
    expect(named(all, ['orders-in-time'])).toEqual([orders]);
    expect(named(all, ['gateway'])).toEqual([orders]);
    expect(named(all, ['cart'])).toEqual([all[0]]);
  });
  it('say what is promised', () => {
    expect(promised(state({}))).toBe('99\u202f% well');
    const late = { kind: 'latency_burn', threshold_seconds: 0.5 };
    expect(promised(state(late))).toBe('99\u202f% within 500\u202fms');
    expect(promised(state({ ...late, threshold_seconds: null }))).toContain('learned');
  });
  it('put first what is not well', () => {
    const burning = state({ health: 'burning', good_ratio_1m: 0.9 });
    const silent = state({ health: 'no_data', good_ratio_1m: null });
    const learning = state({ kind: 'latency_burn', health: 'learning' });
    expect([burning, silent, learning].map(isWell)).toEqual([false, false, true]);
    expect(worstFirst([state({}), silent, burning])[0]).toBe(burning);
  });
});

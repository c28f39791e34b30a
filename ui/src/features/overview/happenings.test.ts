import { describe, expect, it } from 'vitest';
import type { DrillRecord, PlanOutlook, ToldChange } from '../../api/schema';
import { happenings } from './happenings';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const ago = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
const scope = { tenant: 'default', environment: 'default' };
const none = { changes: [], incidents: [], plans: [], drills: [], now: NOW };

function change(seq: number, minutes: number, more: object = {}): ToldChange {
  return {
    seq,
    at: ago(minutes),
    entity: { scope, kind: 'service', part_of: '', name: 'cart' },
    kind: 'deploy',
    summary: 'version v1 -> v2',
    source: 'telemetry',
    blamed_by: [],
    ...more,
  } as unknown as ToldChange;
}
function plan(state: string, results: (string | null)[]): PlanOutlook {
  return {
    id: 1,
    incident: 4,
    target: 'cart-1',
    kind: 'restart',
    state,
    attempts: results.map((result, index) => ({
      action: { id: `1-${index + 1}` },
      ordered: ago(30 - index),
      outcome: result && { result },
    })),
  } as unknown as PlanOutlook;
}
function drill(id: number, scorecard: object | null): DrillRecord {
  return {
    id,
    drill: { started: ago(90), phase: 'done', experiment: { title: 'cart dies' } },
    scorecard: scorecard && { fault: 'kill_process', target: 'cart', ...scorecard },
  } as unknown as DrillRecord;
}
const said = (given: Partial<typeof none>) =>
  happenings({ ...none, ...given } as never).map((one) => `${one.who} ${one.what}: ${one.verdict}`);

describe('happenings', () => {
  it('puts changes, acts and drills on one list, newest first', () => {
    const found = said({
      changes: [change(1, 60)] as never,
      plans: [plan('verified', ['done'])] as never,
      drills: [drill(2, { passed: true })] as never,
    });
    expect(found).toEqual([
      'Immune: the restart of cart-1: held',
      'cart version v1 → v2: no incident',
      'Drill: cart dies: passed',
    ]);
  });
  it('tells of what Immune ordered once', () => {
    expect(said({ changes: [change(1, 60, { source: 'immune' })] as never })).toEqual([]);
  });
  it('says of each attempt what came of it', () => {
    expect(said({ plans: [plan('gave_up', ['refused', 'done'])] as never })).toEqual([
      'Immune: the restart of cart-1: did not help',
      'Immune: the restart of cart-1: refused',
    ]);
    expect(said({ plans: [plan('running', [null])] as never })).toEqual([
      'Immune: the restart of cart-1: running',
    ]);
  });
  it('makes one line of what several instances do at once', () => {
    expect(said({ changes: [change(1, 60), change(2, 60)] as never })).toEqual([
      'cart version v1 → v2 (2×): no incident',
    ]);
  });
  it('does not call a drill failed that came to nothing', () => {
    const verdicts = [
      drill(1, { passed: false }),
      drill(2, { passed: false, aborted: 'stopped' }),
      drill(3, { passed: false, took_effect: false }),
      drill(4, null),
    ].map((one) =>
      said({ drills: [one] as never })[0]!
        .split(': ')
        .at(-1),
    );
    expect(verdicts).toEqual(['failed', 'aborted', 'took no effect', 'no result']);
  });
});

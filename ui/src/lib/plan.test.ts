import { describe, expect, it } from 'vitest';
import type { PlanOutlook } from '../api/schema';
import { THIN } from './format';
import * as plans from './plan';

const plain = (text: string | undefined) => text?.replaceAll(THIN, ' ');
const at = (second: number) => `2026-03-01T12:00:${String(second).padStart(2, '0')}Z`;
const now = Date.parse(at(40));
const plan = (more: Partial<PlanOutlook>): PlanOutlook =>
  ({
    id: 1,
    incident: 7,
    target: 'orders',
    kind: 'restart',
    state: 'held',
    reason: '',
    verdicts: [],
    attempts: [],
    verify_for_seconds: 60,
    undo: null,
    safety: 'irreversible',
    ...more,
  }) as PlanOutlook;
const attempt = { ordered: at(10), outcome: null, undo: null } as PlanOutlook['attempts'][number];

describe('act', () => {
  it('says an action as a person would', () => {
    const said = (kind: PlanOutlook['kind']) => plans.act(kind, 'orders').do;
    expect(said('restart')).toBe('restart orders');
    expect(said('rollback')).toBe('roll orders back');
    expect(said({ run_command: { command: 'flush' } })).toBe('run flush on orders');
    expect(said({ signal: { signal: 'hup' } })).toBe('send SIGHUP to orders');
    expect(said({ container: { operation: 'scale_out' } })).toBe('scale out container of orders');
    expect(said('eject')).toBe('take orders out of rotation');
  });
});

describe('progress', () => {
  it('counts an action under way', () => {
    expect(plain(plans.progress(plan({ state: 'running', attempts: [attempt] }), now)?.words)).toBe(
      'restarting orders, 30 s',
    );
  });
  it('counts how long users have been well', () => {
    const holding = plan({ state: 'verifying', attempts: [attempt], holding_since: at(13) });
    expect(plans.progress(holding, now)).toEqual({
      words: `holding 27 of 60${THIN}s`,
      share: 27 / 60,
    });
  });
  it('says how long users have to recover', () => {
    const waiting = plan({ state: 'verifying', attempts: [attempt], verify_by: at(55) });
    expect(plain(plans.progress(waiting, now)?.words)).toBe(
      'done; users have to recover, 15 s left',
    );
  });
  it('is none for a plan that waits', () => {
    expect(plans.progress(plan({ state: 'awaiting_approval' }), now)).toBeUndefined();
  });
});

describe('leadingPlan', () => {
  it('puts the one that asks before one that acts, and that before those that are over', () => {
    const [old, acting, asking] = [
      plan({ id: 3, state: 'verified' }),
      plan({ id: 1, state: 'running' }),
      plan({ id: 2, state: 'awaiting_approval' }),
    ];
    expect(plans.leadingPlan([old, acting, asking])?.id).toBe(2);
    expect(plans.leadingPlan([old, acting])?.id).toBe(1);
    expect(plans.leadingPlan([])).toBeUndefined();
  });
});

describe('verdictsOf', () => {
  it('sorts by number, not by letters', () => {
    const verdict = (guardrail: string, passed: boolean) => ({ guardrail, passed, reason: '' });
    const { denied, passed } = plans.verdictsOf(
      plan({ verdicts: [verdict('G-10', true), verdict('G-7', false), verdict('G-9', true)] }),
    );
    expect(denied.map((v) => v.guardrail)).toEqual(['G-7']);
    expect(passed.map((v) => v.guardrail)).toEqual(['G-9', 'G-10']);
  });
});

describe('undoWords', () => {
  it('names the counter-action where there is one', () => {
    expect(plans.undoWords(plan({ undo: 'return', kind: 'eject', safety: 'reversible' }))).toBe(
      'If it does not help it is undone: put orders back into rotation.',
    );
    expect(plans.undoWords(plan({ safety: 'irreversible' }))).toBe('It cannot be taken back.');
  });
});

import { describe, expect, it } from 'vitest';
import type { DrillRecord, Incident, Plan, Scorecard } from '../api/schema';
import {
  experimentText,
  faultDetails,
  faultKind,
  hasResult,
  humanSeconds,
  ownPlan,
  placeboText,
  proofs,
  provenWords,
  quantile,
  shortFailure,
  times,
} from './drill';
import { stagesOf } from './stages';

const at = (second: number) => new Date(Date.UTC(2026, 0, 31, 12, 0, second)).toISOString();

function card(change: Partial<Scorecard> = {}): Scorecard {
  return {
    title: 'cart dies',
    fault: 'kill_process',
    target: 'cart',
    aborted: null,
    took_effect: true,
    injected_at: at(10),
    effective_at: at(11),
    first_harm_at: at(12),
    harmed_requests: 7,
    last_harm_at: at(25),
    incident: 3,
    detected_at: at(16),
    cause_first: true,
    cause: 'cart crashed',
    decision_expected: 'heal',
    decision: 'heal',
    decision_right: true,
    acted_at: at(20),
    verified_at: at(58),
    healed: 'by_action',
    undone_at: at(59),
    false_pages: 0,
    passed: true,
    failures: [],
    ...change,
  };
}

function record(change: object = {}, scorecard: Scorecard | null = null): DrillRecord {
  return {
    id: 7,
    by: 'local',
    drill: {
      experiment: {
        title: 'cart dies',
        steady_state: { slos: ['gateway'], held_for: '10s' },
        target: 'cart',
        fault: 'kill_process',
        blast_radius: { environment: 'demo', services: ['cart', 'gateway'] },
        deadline: '2m',
        observe: '3m',
        abort: { harmed_requests: null, outside_blast_radius: true },
        expect: { decision: 'heal', cause: { kind: 'crash', entity: 'cart' } },
        client_log: null,
      },
      started: at(0),
      phase: 'watching',
      since: at(11),
      steady_since: at(0),
      abort: null,
      progress: [[at(17), 'incident 3: cause: cart crashed (95 % sure)']],
      before: 2,
      struck: at(10),
      unwell_since: null,
      ...change,
    },
    fault: {
      injected_at: at(10),
      effective_at: at(11),
      undone_at: null,
      found_healed: false,
      refused: null,
      ineffective: null,
    },
    victim: null,
    scorecard,
  } as DrillRecord;
}

describe('faults', () => {
  it('have a kind and parameters that can be read', () => {
    expect(faultKind('kill_process')).toBe('kill_process');
    expect(faultKind(null)).toBe('placebo');
    const tcp = { tcp: { port: 7811, latency: '2s', jitter: null } } as never;
    expect(faultKind(tcp)).toBe('tcp');
    expect(faultDetails(tcp)).toBe('port 7811, latency 2s');
    expect(faultDetails('pause_process')).toBe('');
  });
});

describe('humanSeconds', () => {
  it('reads what files have', () => {
    expect(humanSeconds('1m30s')).toBe(90);
    expect(humanSeconds('250ms')).toBe(0.25);
    expect(humanSeconds('1h')).toBe(3_600);
  });
});

describe('a scorecard', () => {
  it('proves three things, each by itself', () => {
    expect(proofs(card())).toEqual(['passed', 'passed', 'passed']);
    const undetected = card({ incident: null, cause_first: null, decision_right: false });
    expect(proofs(undetected)).toEqual(['failed', 'none', 'none']);
    expect(proofs(card({ cause_first: false }))).toEqual(['passed', 'failed', 'passed']);
    expect(proofs(card({ healed: 'only_because_it_ended' }))[2]).toBe('failed');
    const called = card({ decision_expected: 'escalate', decision: 'escalate', verified_at: null });
    expect(proofs(called)).toEqual(['passed', 'passed', 'passed']);
    const alone = card({ decision_expected: 'leave_alone', incident: null, cause_first: null });
    expect(proofs(alone)).toEqual(['passed', 'passed', 'passed']);
  });
  it('says in two words what went wrong first', () => {
    expect(shortFailure(card({ incident: null }))).toBe('undetected');
    expect(shortFailure(card({ cause_first: false }))).toBe('wrong cause');
    expect(shortFailure(card({ healed: 'only_because_it_ended' }))).toBe('fault ended');
    const alone = card({ decision_right: false, decision: 'leave_alone' });
    expect(shortFailure(alone)).toBe('chose to leave alone');
  });
  it('is no result when it was stopped or nothing took effect', () => {
    expect(hasResult(card({ aborted: 'stopped by local', passed: false }))).toBe(false);
    expect(hasResult(card({ took_effect: false, passed: false }))).toBe(false);
    expect(hasResult(card({ passed: false }))).toBe(true);
    expect(hasResult(null)).toBe(false);
  });
  it('counts its times from the moment at which the fault took effect', () => {
    expect(times(record({}, card()))).toEqual({
      effective: 1,
      harmed: 1,
      detected: 5,
      cause: 6,
      acted: 9,
      well: 14,
      verified: 47,
      undone: 48,
    });
    expect(times(record({}, card({ healed: null, last_harm_at: null }))).well).toBe(47);
    expect(times(record())).toEqual({});
  });
});

describe('quantile', () => {
  it('is one of the values', () => {
    expect(quantile([5, 1, 3], 0.5)).toBe(3);
    expect(quantile([5, 1, 3], 0.95)).toBe(5);
    expect(quantile([], 0.5)).toBeUndefined();
  });
});

describe('provenWords', () => {
  const cell = (fault: string, target: string, last_passed = true, stale = false) => ({
    fault,
    target,
    last_passed,
    stale,
  });
  const matrix = (cells: ReturnType<typeof cell>[], targets = ['cart', 'gateway']) => {
    const fresh = cells.filter((one) => !one.stale);
    return {
      cells,
      targets,
      combinations: targets.length * 15,
      covered: fresh.length,
      passing: fresh.filter((one) => one.last_passed).length,
    };
  };
  it('says what failed before what was not tried', () => {
    expect(provenWords(matrix([cell('kill_process', 'cart'), cell('cpu', 'cart', false)]))).toBe(
      '1 of 30 faults are proven survived; processors busy at cart failed',
    );
    expect(provenWords(matrix([cell('kill_process', 'cart')]))).toBe(
      '1 of 30 faults are proven survived; gateway is unproven',
    );
  });
  it('takes an old result for none', () => {
    const words = provenWords(matrix([cell('kill_process', 'cart', true, true)]));
    expect(words).toBe('Nothing is proven yet: 0 of 30 faults are proven survived');
  });
  it('stays within a headline', () => {
    const name = 'a-service-with-a-name-that-is-very-long';
    const failed = [cell('file_descriptors', name, false), cell('packet_loss', name, false)];
    const words = provenWords(matrix(failed, [name]));
    expect(words.length).toBeLessThanOrEqual(90);
    expect(words).toContain('2 failed the last time');
  });
});

describe('an experiment to begin with', () => {
  it('leaves out what says nothing', () => {
    const text = experimentText(record().drill.experiment);
    expect(text).not.toContain('null');
    expect(JSON.parse(text)).toMatchObject({ target: 'cart', deadline: '2m' });
  });
  it('becomes a placebo without its fault', () => {
    const file = 'title: "x"\ntarget: "cart"\nfault: kill_process\nexpect: {decision: heal}\n';
    expect(placeboText(file)).toBe(
      'title: "placebo: nothing is done"\ntarget: "cart"\nexpect: {decision: leave_alone}\n',
    );
  });
});

describe('stagesOf', () => {
  const incident = {
    id: 3,
    opened: at(16),
    symptoms: [{ summary: 'gateway fails 14 % of requests' }],
    causes: [{ kind: 'crash', summary: 'cart crashed', confidence: 0.95 }],
    needs_human: '',
  } as unknown as Incident;
  const plan = {
    id: 1,
    target: 'cart',
    kind: 'restart',
    state: 'verifying',
    reason: 'users are watched',
    verdicts: [{ passed: true }, { passed: true }],
    attempts: [{ ordered: at(20) }],
    created: at(18),
    incident: 3,
  } as unknown as Plan;
  const states = (stages: ReturnType<typeof stagesOf>) =>
    stages.map(({ name, state }) => `${name}: ${state}`);
  const now = Date.parse(at(30));

  it('tell how far a drill has come', () => {
    const waiting = stagesOf({
      record: record({ progress: [] }),
      incident: undefined,
      plan: undefined,
      now,
    });
    expect(states(waiting)).toEqual([
      'Steady state: done',
      'Fault in effect: done',
      'Detected: now',
      'Cause named: todo',
      'Acted: todo',
      'Recovered: todo',
      'Undone: todo',
    ]);
    expect(waiting[2]!.value).toBe('19\u202fs');
    const acting = stagesOf({ record: record(), incident, plan, now });
    expect(acting.map((stage) => stage.value)).toEqual([
      'held 10\u202fs',
      '1\u202fs',
      '5\u202fs',
      '6\u202fs',
      '9\u202fs',
      'verifying',
      '–',
    ]);
    expect(acting[4]!.note).toBe('restart cart, 2 of 2 guardrails pass');
  });
  it('leave out what was done for the same incident when the drill was over', () => {
    const over = record({ phase: 'done', since: at(19) });
    expect(ownPlan(over, 3, [plan])).toBe(plan);
    expect(ownPlan(record({ phase: 'done', since: at(17) }), 3, [plan])).toBeUndefined();
    expect(ownPlan(record(), 4, [plan])).toBeUndefined();
  });
  it('say what did not come, once it is over', () => {
    const over = record(
      { phase: 'done', progress: [] },
      card({
        incident: null,
        cause: null,
        acted_at: null,
        detected_at: null,
        verified_at: null,
        cause_first: null,
        decision_right: false,
      }),
    );
    const stages = stagesOf({ record: over, incident: undefined, plan: undefined, now });
    expect(states(stages).slice(2, 6)).toEqual([
      'Detected: failed',
      'Cause named: failed',
      'Acted: failed',
      'Recovered: failed',
    ]);
  });
  it('are those of what is right to do', () => {
    const calm = record();
    calm.drill.experiment.expect = { decision: 'leave_alone', cause: null };
    const stages = stagesOf({ record: calm, incident: undefined, plan: undefined, now });
    expect(states(stages)).toEqual([
      'Steady state: done',
      'Fault in effect: done',
      'Left alone: now',
      'Undone: todo',
    ]);
    expect(stages[2]!.value).toBe('19 of 180\u202fs');
  });
});

// A plan in words: what will be done, to what, how it stands, and how it is taken back.

import { duration, THIN } from './format';
import { clock, millis } from './time';
import type {
  ActionKind,
  Attempt,
  Mode,
  PlanOutlook as Plan,
  PlanState,
  Safety,
  Verdict,
} from '../api/schema';

/** One act in all its forms: "restart payment-1", "restarting payment-1", … */
export interface Act {
  do: string;
  doing: string;
  done: string;
  /** Without the target, for buttons: "restart". */
  noun: string;
}

/** The name of an action and its parameter, if it has one. */
export function actionParts(kind: ActionKind): [name: string, parameter: string] {
  if (typeof kind === 'string') return [kind, ''];
  const [name, parameters] = Object.entries(kind)[0] as [string, Record<string, string>];
  return [name, Object.values(parameters)[0] ?? ''];
}

export function sameAction(a: ActionKind, b: ActionKind): boolean {
  return actionParts(a).join() === actionParts(b).join();
}

const UNITS: Record<string, [string, string, string]> = {
  restart: ['restart', 'restarting', 'restarted'],
  pause: ['pause', 'pausing', 'paused'],
  unpause: ['unpause', 'unpausing', 'unpaused'],
  scale_out: ['scale out', 'scaling out', 'scaled out'],
  scale_in: ['scale in', 'scaling in', 'scaled in'],
  reload: ['reload', 'reloading', 'reloaded'],
  start: ['start', 'starting', 'started'],
};

/** What the action does to the target. */
export function act(kind: ActionKind, target: string): Act {
  const [name, given] = actionParts(kind);
  const of = (doing: [string, string, string], rest: string, noun: string): Act => {
    const [now, ing, past] = doing.map((verb) => `${verb} ${rest}`.trim()) as [
      string,
      string,
      string,
    ];
    return { do: now, doing: ing, done: past, noun };
  };
  const run = ['run', 'running', 'ran'] as [string, string, string];
  const send = ['send', 'sending', 'sent'] as [string, string, string];
  switch (name) {
    case 'restart':
      return of(UNITS.restart!, target, 'restart');
    case 'run_command':
      return of(run, `${given} on ${target}`, `command ${given}`);
    case 'signal': {
      const signal = `SIG${given.toUpperCase()}`;
      return of(send, `${signal} to ${target}`, signal);
    }
    case 'rollback':
      return of(['roll', 'rolling', 'rolled'], `${target} back`, 'rollback');
    case 'http_request':
      return of(send, `request ${given} for ${target}`, `request ${given}`);
    case 'eject':
      return of(['take', 'taking', 'took'], `${target} out of rotation`, 'ejection');
    case 'return':
      return of(['put', 'putting', 'put'], `${target} back into rotation`, 'return');
    case 'terminate_blocker':
      return of(['end', 'ending', 'ended'], `the blocking session of ${target}`, 'termination');
    case 'clear_path':
      return of(['clear', 'clearing', 'cleared'], `${given} of ${target}`, `clearing of ${given}`);
    case 'container':
      return of(
        UNITS[given] ?? [given, given, given],
        `container of ${target}`,
        given.replace('_', '-'),
      );
    case 'container_limits':
      return of(['limit', 'limiting', 'limited'], `${target} to ${given}`, `limits ${given}`);
    case 'systemd':
      return of(UNITS[given] ?? [given, given, given], `unit of ${target}`, given);
    default:
      return of(run, `${name} on ${target}`, name);
  }
}

const STATES: Record<PlanState, string> = {
  held: 'held',
  awaiting_approval: 'waits for you',
  running: 'acting',
  verifying: 'being verified',
  undoing: 'being taken back',
  backing_off: 'waits before the next try',
  dry_run: 'shown only',
  verified: 'verified',
  gave_up: 'gave up',
  denied: 'denied',
  withdrawn: 'withdrawn',
};

export function stateName(state: PlanState): string {
  return STATES[state];
}

const MODES: Record<Mode, string> = {
  off: 'off',
  dry_run: 'shows only',
  approve: 'asks first',
  auto: 'acts',
};

/** How far healing goes by itself, in the words of the bottom line. */
export function modeName(mode: string): string {
  return MODES[mode as Mode] ?? mode;
}

export function isOver(plan: Plan): boolean {
  return ['dry_run', 'verified', 'gave_up', 'denied', 'withdrawn'].includes(plan.state);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** One sentence: what is being done, and what is asked of the reader. */
export function planSentence(plan: Plan): string {
  const it = act(plan.kind, plan.target);
  const reason = plan.reason.replace(/\.$/, '');
  switch (plan.state) {
    case 'awaiting_approval':
      return `${capital(it.doing)} is planned and waits for you.`;
    case 'held':
      return `${capital(it.doing)} is planned and held: ${reason}.`;
    case 'running':
      return `Immune is ${it.doing}.`;
    case 'verifying':
      return `Immune ${it.done}; users’ figures decide whether it helped.`;
    case 'undoing':
      return `Immune ${it.done}, which did not help and is being taken back.`;
    case 'backing_off':
      return `Immune ${it.done} in vain and waits before it tries again.`;
    case 'dry_run':
      return `Immune would ${it.do}, but only shows what it would do.`;
    case 'verified':
      return `Immune ${it.done} and users recovered: ${reason}.`;
    case 'gave_up':
      return plan.attempts.length > 0
        ? `Immune ${it.done}, without help: ${reason}.`
        : `Immune gave up to ${it.do}: ${reason}.`;
    case 'denied':
      return /^denied /.test(reason)
        ? `${capital(it.doing)} was ${reason}.`
        : `${capital(it.doing)} was denied: ${reason}.`;
    case 'withdrawn':
      return `${capital(it.doing)} was withdrawn: ${reason}.`;
  }
}

/** The plan that counts: one that waits or acts before those that are over, then the newest. */
export function leadingPlan(plans: Plan[]): Plan | undefined {
  const rank = (plan: Plan) =>
    plan.state === 'awaiting_approval'
      ? 2
      : isOver(plan)
        ? plan.state === 'withdrawn'
          ? -1
          : 0
        : 1;
  return [...plans].sort((a, b) => rank(b) - rank(a) || b.id - a.id)[0];
}

/** Until when somebody has to answer, milliseconds; undefined where nobody is asked. */
export function deadline(plan: Plan): number | undefined {
  if (plan.state !== 'awaiting_approval' || !plan.waits_until) return undefined;
  return millis(plan.waits_until);
}

export interface Progress {
  words: string;
  /** 0 to 1, where it is known how long it takes. */
  share?: number;
}

/** How far a plan under way has come: "restarting payment-1, 12 s", "holding 27 of 60 s". */
export function progress(plan: Plan, now: number): Progress | undefined {
  const attempt = plan.attempts.at(-1);
  if (!attempt) return undefined;
  const since = (at: string) => Math.max(0, (now - millis(at)) / 1000);
  switch (plan.state) {
    case 'running':
      return {
        words: `${act(plan.kind, plan.target).doing}, ${duration(since(attempt.ordered))}`,
      };
    case 'undoing':
      return {
        words: attempt.undo
          ? `taking it back, ${duration(since(attempt.undo.ordered))}`
          : 'about to take it back',
      };
    case 'verifying': {
      const needed = plan.verify_for_seconds;
      if (plan.holding_since) {
        const held = Math.min(since(plan.holding_since), needed);
        const words =
          needed <= 120
            ? `holding ${Math.floor(held)} of ${Math.round(needed)}${THIN}s`
            : `holding ${duration(held)} of ${duration(needed)}`;
        return { words, share: held / needed };
      }
      const left = plan.verify_by ? Math.max(0, (millis(plan.verify_by) - now) / 1000) : undefined;
      return {
        words: `done; users have to recover${left === undefined ? '' : `, ${duration(left)} left`}`,
      };
    }
    default:
      return undefined;
  }
}

/** Which guardrails deny, and which pass; both in the order of their numbers. */
export function verdictsOf(plan: Plan): { denied: Verdict[]; passed: Verdict[] } {
  const number = (verdict: Verdict) => Number(verdict.guardrail.replace(/^\D+/, ''));
  const sorted = [...plan.verdicts].sort((a, b) => number(a) - number(b));
  return {
    denied: sorted.filter((verdict) => !verdict.passed),
    passed: sorted.filter((verdict) => verdict.passed),
  };
}

/** `G-7`: the one that a person answers. */
export const ASKS_A_PERSON = 'G-7';

const SAFETY: Record<Safety, string> = {
  starts_what_is_gone: 'It only starts what is gone: nobody is disturbed.',
  reversible: 'It can be taken back.',
  irreversible: 'It cannot be taken back.',
};

/** What the action risks, and how it is undone. */
export function undoWords(plan: Plan): string {
  if (plan.undo && plan.safety !== 'irreversible')
    return `If it does not help it is undone: ${act(plan.undo, plan.target).do}.`;
  return SAFETY[plan.safety];
}

/** When it counts as a cure. */
export function proofWords(plan: Plan): string {
  return `It counts as a cure once users’ figures were well for ${duration(plan.verify_for_seconds)}.`;
}

/** What must still be so when it is ordered: G-10 found it, or the last order named it. */
export function expected(plan: Plan): string {
  const expect = plan.attempts.at(-1)?.action.expect;
  if (expect && expect !== 'no_process') {
    const gone = 'gone' in expect;
    const process = gone ? expect.gone : expect.running;
    return `process ${process.pid} on ${process.host} ${gone ? 'is gone' : 'runs'}`;
  }
  const identity = plan.verdicts.find((verdict) => verdict.guardrail === 'G-10');
  return identity?.passed ? identity.reason : '';
}

/** How an attempt ended, one line. */
export function attemptWords(attempt: Attempt): string {
  const at = clock(attempt.ordered);
  if (!attempt.outcome) return `${at} ordered, under way`;
  const result = attempt.outcome.result.replace('_', ' ');
  return `${at} ${result}: ${attempt.outcome.detail}`;
}

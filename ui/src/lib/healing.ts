// Healing as a whole: the sentence above the page, what a guardrail said lately, what was audited.

import { plural, THIN } from './format';
import { actionParts, act, isOver, modeName, stateName } from './plan';
import type {
  ActionKind,
  Event as JournalLine,
  Freeze,
  HealingPolicy,
  PlanOutlook,
} from '../api/schema';

interface Standing {
  mode: string;
  frozen?: Freeze | null;
  held?: string | null;
  policies: HealingPolicy[];
}

/** What may Immune do, and what does it want of me? */
export function healingHeadline(healing: Standing, plans: PlanOutlook[]): string {
  const waiting = plans.filter((plan) => plan.state === 'awaiting_approval').length;
  const acting = plans.filter((plan) =>
    ['running', 'verifying', 'undoing'].includes(plan.state),
  ).length;
  const then =
    waiting > 0
      ? `${plural(waiting, 'plan waits', 'plans wait')} for you`
      : acting > 0
        ? `${plural(acting, 'plan is', 'plans are')} under way`
        : 'nothing waits for you';
  if (healing.frozen) return `Healing is frozen by ${healing.frozen.who}; no action begins`;
  if (healing.policies.length === 0) return 'No policy is configured: Immune only diagnoses';
  const auto = healing.policies.filter((policy) => policy.mode === 'auto').length;
  const all = healing.policies.length;
  if (auto > 0 && auto < all)
    return `Healing acts by itself on ${auto} of ${plural(all, 'policy', 'policies')}; ${then}`;
  const modes = new Set(healing.policies.map((policy) => policy.mode));
  const mode = modes.size === 1 ? [...modes][0]! : healing.mode;
  return `Healing ${mode === 'off' ? 'is off' : modeName(mode)}; ${then}`;
}

export interface Said {
  passed: number;
  denied: number;
  /** The newest refusal. */
  last?: { plan: PlanOutlook; reason: string };
}

/** What each guardrail said when the plans that are kept were last checked. */
export function saidBy(plans: PlanOutlook[]): Map<string, Said> {
  const said = new Map<string, Said>();
  for (const plan of plans.toSorted((a, b) => b.updated.localeCompare(a.updated))) {
    for (const { guardrail, passed, reason } of plan.verdicts) {
      const so = said.get(guardrail) ?? { passed: 0, denied: 0 };
      said.set(guardrail, so);
      if (passed) so.passed += 1;
      else {
        so.denied += 1;
        so.last ??= { plan, reason };
      }
    }
  }
  return said;
}

/** The plans that are over, newest first, without those that were withdrawn before they acted. */
export function done(plans: PlanOutlook[]): PlanOutlook[] {
  return plans.filter(isOver).toSorted((a, b) => b.updated.localeCompare(a.updated));
}

export interface AuditLine {
  seq: number;
  at: string;
  who: string;
  what: string;
  refused: boolean;
  plan?: number;
}

/** The plan of an action's id: `PREFIX-PLAN-ATTEMPT`, with a `u` for its undo. */
function planOf(action: string): number | undefined {
  const plan = Number(action.split('-').at(-2));
  return Number.isInteger(plan) ? plan : undefined;
}

/** A journal line as a person reads it. */
export function auditLine(line: JournalLine): AuditLine {
  const { seq, at } = line;
  const told = (who: string, what: string, refused = false, plan?: number): AuditLine => ({
    seq,
    at,
    who,
    what,
    refused,
    plan,
  });
  switch (line.event) {
    case 'plan': {
      const { plan } = line;
      const denials = plan.verdicts.filter((verdict) => !verdict.passed);
      const by = denials.map((verdict) => verdict.guardrail).join(', ');
      const what = `${act(plan.kind, plan.target).do}: ${stateName(plan.state)}, ${plan.reason}`;
      return told(
        `plan ${plan.id}`,
        by === '' ? what : `${what} (${by})`,
        denials.length > 0,
        plan.id,
      );
    }
    case 'order': {
      const { action } = line;
      return told('order', act(action.kind, action.target).do, false, planOf(action.id));
    }
    case 'outcome': {
      const { outcome } = line;
      const refused = outcome.result === 'refused';
      const what = `${outcome.result.replace('_', ' ')}: ${outcome.detail}`;
      return told('agent', what, refused, planOf(outcome.action));
    }
    case 'command':
      return told(
        line.by,
        commandWords(line.command, line.result),
        line.result.startsWith('refused'),
      );
    case 'remark':
      return told('Immune', line.text);
    case 'reload':
      return told('Immune', 'configuration taken up');
    case 'catching_up':
      return told('Immune', `away for ${line.away_seconds}${THIN}s; paging and healing rest`);
    case 'clock_set_back':
      return told('Immune', `the clock was set back by ${line.seconds}${THIN}s`);
    default:
      return told('Immune', line.event.replaceAll('_', ' '));
  }
}

/** `approve plan 3`, `freeze: deploy tonight`. */
export function commandWords(command: unknown, result: string): string {
  const end = result === 'done' || result === '' ? '' : ` (${result})`;
  if (typeof command === 'string') return command + end;
  const [name, given] = Object.entries(command as Record<string, unknown>)[0] ?? ['', {}];
  const details = Object.entries((given ?? {}) as Record<string, unknown>)
    .map(
      ([key, value]) =>
        `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    )
    .join(', ');
  return `${name.replaceAll('_', ' ')}${details === '' ? '' : ` ${details}`}${end}`;
}

/** An action as configuration names it: `restart`, `run_command flush`. */
export function actionName(kind: ActionKind): string {
  const [name, given] = actionParts(kind);
  return `${name.replaceAll('_', ' ')}${given === '' ? '' : ` ${given.replaceAll('_', ' ')}`}`;
}

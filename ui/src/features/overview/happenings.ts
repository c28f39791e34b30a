// What happened, of all kinds on one list, newest first: changes, what Immune did, drills.

import type { DrillRecord, Incident, PlanOutlook, ToldChange } from '../../api/schema';
import { deed } from '../../lib/headline';
import { entityName } from '../../lib/naming';
import { verdict } from './trouble';

export interface Happening {
  id: string;
  at: number;
  icon: 'change' | 'healing' | 'drill';
  who: string;
  what: string;
  href?: string;
  verdict: string;
  verdictHref?: string;
  tone: 'bad' | 'risk' | 'dim' | 'healing' | 'drill';
}

interface Sources {
  changes: ToldChange[];
  incidents: Incident[];
  plans: PlanOutlook[];
  drills: DrillRecord[];
  now: number;
}

/** Restarts that Immune orders are told as its acts, not again as changes. */
export function happenings({ changes, incidents, plans, drills, now }: Sources): Happening[] {
  const told = changes
    .filter((change) => change.source !== 'immune')
    .map((change): Happening => {
      const is = verdict(change, incidents, now);
      const summary = change.summary.replace(' -> ', ' → ');
      return {
        id: `change ${change.seq}`,
        at: Date.parse(change.at),
        icon: 'change',
        who: entityName(change.entity),
        what: summary === '' ? change.kind : summary,
        verdict: is.words,
        verdictHref: is.incident === undefined ? undefined : `/incidents/${is.incident}`,
        tone: is.tone,
      };
    });
  const done = plans.flatMap((plan) =>
    plan.attempts.map((attempt, index): Happening => {
      const last = index === plan.attempts.length - 1;
      return {
        id: `act ${attempt.action.id}`,
        at: Date.parse(attempt.ordered),
        icon: 'healing',
        who: 'Immune:',
        what: deed(plan.kind, plan.target),
        href: `/incidents/${plan.incident}#plan`,
        ...outcome(plan, attempt, last),
      };
    }),
  );
  const drilled = drills.map((drill): Happening => {
    return {
      id: `drill ${drill.id}`,
      at: Date.parse(drill.drill.started),
      icon: 'drill',
      who: 'Drill:',
      what: drill.drill.experiment.title,
      href: `/drills/${drill.id}`,
      ...score(drill),
    };
  });
  const all = [...told, ...done, ...drilled];
  return unique(all).toSorted((a, b) => b.at - a.at || (a.id < b.id ? -1 : 1));
}

function outcome(
  plan: PlanOutlook,
  attempt: PlanOutlook['attempts'][number],
  last: boolean,
): Pick<Happening, 'verdict' | 'tone'> {
  if (attempt.undo) return { verdict: 'undone', tone: 'risk' };
  const result = attempt.outcome?.result;
  if (result !== undefined && result !== 'done')
    return { verdict: result.replaceAll('_', ' '), tone: 'risk' };
  if (!last) return { verdict: 'did not help', tone: 'risk' };
  switch (plan.state) {
    case 'verified':
      return { verdict: 'held', tone: 'healing' };
    case 'verifying':
      return { verdict: 'being watched', tone: 'healing' };
    case 'gave_up':
      return { verdict: 'did not help', tone: 'risk' };
    default:
      return { verdict: plan.state.replaceAll('_', ' '), tone: 'dim' };
  }
}

function score({ scorecard: card, drill }: DrillRecord): Pick<Happening, 'verdict' | 'tone'> {
  if (!card) return { verdict: drill.phase === 'done' ? 'no result' : 'running', tone: 'drill' };
  if (card.passed) return { verdict: 'passed', tone: 'drill' };
  if (card.aborted != null) return { verdict: 'aborted', tone: 'dim' };
  if (card.took_effect === false) return { verdict: 'took no effect', tone: 'dim' };
  return { verdict: 'failed', tone: 'bad' };
}

/** What tells the same of several instances at one moment is one line. */
function unique(all: Happening[]): Happening[] {
  const found = new Map<string, Happening & { times: number }>();
  for (const one of all) {
    const key = [one.at, one.who, one.what, one.verdict].join('\n');
    const known = found.get(key);
    if (known) known.times += 1;
    else found.set(key, { ...one, times: 1 });
  }
  return [...found.values()].map(({ times, ...one }) =>
    times > 1 ? { ...one, what: `${one.what} (${times}×)` } : one,
  );
}

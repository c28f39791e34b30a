// How the objectives of a steady state fare right now.

import type { ObjectiveState } from '../api/schema';
import { percent, took } from './format';

/** Those that an experiment names, by their own name or by that of their service. */
export function named(objectives: ObjectiveState[], slos: string[]): ObjectiveState[] {
  return objectives.filter(
    (state) =>
      slos.includes(state.source) ||
      slos.includes(state.entity.part_of === '' ? state.entity.name : state.entity.part_of),
  );
}

/** What is promised: `99 % well`, `99 % within 500 ms`. */
export function promised(state: ObjectiveState): string {
  const share = percent(state.objective);
  if (state.kind !== 'latency_burn') return `${share} well`;
  const limit = state.threshold_seconds;
  return limit ? `${share} within ${took(limit)}` : 'its limit is being learned';
}

/** Is it as the steady state wants it? */
export function isWell(state: ObjectiveState): boolean {
  const unlearned = state.kind === 'latency_burn' && !state.threshold_seconds;
  return state.health === 'well' || (unlearned && state.health === 'learning');
}

/** The worst first: not well before well, then the smallest share of good requests. */
export function worstFirst(states: ObjectiveState[]): ObjectiveState[] {
  const good = (state: ObjectiveState) => state.good_ratio_1m ?? 1;
  return states.toSorted((a, b) => Number(isWell(a)) - Number(isWell(b)) || good(a) - good(b));
}

// Which objectives are nearest to trouble, and what became of a change.

import type { Incident, ObjectiveState, ToldChange } from '../../api/schema';
import { entityKey, ownerKey } from '../../lib/naming';

const ORDER: Record<string, number> = {
  burning: 0,
  no_data: 1,
  well: 2,
  learning: 3,
  no_traffic: 4,
};

/** Burning first, then without data, then by how fast the budget goes, then by what is left. */
export function nearest(objectives: ObjectiveState[]): ObjectiveState[] {
  const rank = (one: ObjectiveState) => ORDER[one.health] ?? 5;
  const burn = (one: ObjectiveState) => Math.max(0, ...one.burn.map((rate) => rate ?? 0));
  return objectives.toSorted(
    (a, b) =>
      rank(a) - rank(b) ||
      burn(b) - burn(a) ||
      (a.budget_left ?? 1) - (b.budget_left ?? 1) ||
      entityKey(a.entity).localeCompare(entityKey(b.entity)),
  );
}

export interface Verdict {
  words: string;
  tone: 'bad' | 'risk' | 'dim';
  incident?: number;
}

/** Trouble within so long after a change may have to do with it; before, it is too early to tell. */
const WATCHED_FOR_MS = 10 * 60_000;

/** What came after a change. That nothing did is said of its own service only. */
export function verdict(change: ToldChange, incidents: Incident[], now: number): Verdict {
  const blamed = change.blamed_by[0];
  if (blamed !== undefined) return { words: 'blamed', tone: 'bad', incident: blamed };
  const at = Date.parse(change.at);
  const owner = ownerKey(change.entity);
  const after = incidents.find((incident) => {
    const since = Date.parse(incident.onset) - at;
    const hurt = incident.symptoms.some((symptom) => ownerKey(symptom.entity) === owner);
    return hurt && since >= 0 && since <= WATCHED_FOR_MS;
  });
  if (after) return { words: 'trouble after, not blamed', tone: 'risk', incident: after.id };
  if (now - at < WATCHED_FOR_MS) return { words: 'being watched', tone: 'dim' };
  return { words: 'no incident', tone: 'dim' };
}

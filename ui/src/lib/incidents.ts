// The list of incidents: which are meant, in what order, and the sentence above it.

import { duration, plural } from './format';
import { headline, isPage } from './incident';
import { entityName } from './naming';
import { millis } from './time';
import type { Incident } from '../api/schema';

export const STATES = ['open', 'mitigated', 'resolved'] as const;
export type StateFilter = (typeof STATES)[number] | 'all';

/** What the URL says; without it all. */
export function stateFilter(text: string | null): StateFilter {
  return STATES.find((state) => state === text) ?? 'all';
}

/** Everything that a person may look for in it. */
function words(incident: Incident): string {
  const entities = [
    ...incident.symptoms.map((symptom) => symptom.entity),
    ...incident.causes.slice(0, 1).map((cause) => cause.entity),
  ];
  return [
    incident.id,
    incident.title,
    headline(incident),
    incident.causes[0]?.kind ?? '',
    incident.scope.environment,
    incident.acknowledged_by,
    ...entities.map(entityName),
  ]
    .join(' ')
    .toLowerCase();
}

export function chosen(incidents: Incident[], state: StateFilter, text: string): Incident[] {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = (incident: Incident) =>
    (incident.state === 'open' ? 4 : incident.state === 'mitigated' ? 2 : 0) +
    (incident.state !== 'resolved' && isPage(incident) ? 1 : 0);
  return incidents
    .filter((incident) => state === 'all' || incident.state === state)
    .filter((incident) => {
      const its = words(incident);
      return wanted.every((word) => its.includes(word));
    })
    .sort((a, b) => rank(b) - rank(a) || b.id - a.id);
}

/** Does anything need me? */
export function listHeadline(incidents: Incident[], now: number): string {
  const open = incidents.filter((incident) => incident.state === 'open');
  const needing = incidents.filter(
    (incident) => incident.state !== 'resolved' && incident.needs_human !== '',
  ).length;
  const watched = incidents.filter((incident) => incident.state === 'mitigated').length;
  if (open.length === 0 && watched > 0)
    return `No user is hurt; ${plural(watched, 'recovery is', 'recoveries are')} being watched`;
  if (open.length === 0) {
    const last = incidents
      .flatMap((incident) => (incident.resolved ? [millis(incident.resolved)] : []))
      .reduce((a, b) => Math.max(a, b), 0);
    return last > 0
      ? `No incident is open; the last one ended ${duration((now - last) / 1000)} ago`
      : 'No incident was ever opened';
  }
  const hurt = plural(open.length, 'incident is', 'incidents are');
  return `${hurt} open; ${needing === 0 ? 'none needs a person' : `${needing} ${needing === 1 ? 'needs' : 'need'} a person`}`;
}

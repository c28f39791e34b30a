// The shape of traffic of each node over the range of the page: for sparklines.

import { get } from '../../api/client';
import type { Entity, SeriesFound } from '../../api/schema';
import { stepFor } from '../../lib/chart';
import { evenly, grouped, selector, settled, shareOf } from '../../lib/red';
import { spanText, iso } from '../../lib/time';

const POINTS = 40;
/** Series of one answer; what is beyond has no shape. */
const SERIES_MAX = 2_000;

export interface Shape {
  requests: (number | null)[];
  failed: (number | null)[];
}

const ENVIRONMENT = 'deployment.environment.name';

function key(kind: string, name: string, environment: string): string {
  return [kind, name, environment].join('\n');
}

export function shapeKey({ kind, name, scope }: Entity): string {
  return key(kind, name, scope.environment);
}

/** By `shapeKey`: of services as they told, of what they call as they told of that. */
export async function shapes(
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Map<string, Shape>> {
  const step = stepFor(from, to, POINTS);
  const ask = (metric: string, labels: Record<string, string | string[]>) =>
    get<SeriesFound>(
      '/api/v1/series',
      {
        match: selector(metric, labels),
        from: iso(from),
        to: iso(to),
        step: spanText(step / 1_000),
        function: 'sum',
        limit: SERIES_MAX,
      },
      signal,
    );
  const own = { of: 'service' };
  const called = { of: 'edge', 'callee.kind': ['database', 'queue', 'peer'] };
  const found = await Promise.all([
    ask('immune.requests', own),
    ask('immune.requests', called),
    ask('immune.errors', own),
    ask('immune.errors', called),
  ]);
  const [ownRequests, calls, ownErrors, failedCalls] = found.map(({ series }) => series);
  const nameOf = (labels: Record<string, string>) =>
    labels.callee === undefined
      ? key('service', labels.service ?? '', labels[ENVIRONMENT] ?? 'default')
      : key(labels['callee.kind'] ?? '', labels.callee, labels[ENVIRONMENT] ?? 'default');
  const requests = grouped([...ownRequests!, ...calls!], nameOf);
  const errors = grouped([...ownErrors!, ...failedCalls!], nameOf);
  const known = new Map<string, Shape>();
  for (const [name, points] of requests) {
    const whole = settled(points, step, to);
    const part = settled(errors.get(name) ?? [], step, to);
    known.set(name, {
      requests: evenly(whole, from, to, step),
      failed: evenly(shareOf(part, whole), from, to, step),
    });
  }
  return known;
}

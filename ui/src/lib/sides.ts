// The two sides of a comparison, as the URL has them: B is the time range of the frame, A another
// time (`a`: so much earlier, or from/to; without it as long just before B), or both are versions of
// a service (`versions=1.2,1.3`) in that one time. And the ways into a comparison.

import type { Incident, ServiceDetail } from '../api/schema';
import { begunIn, pairOf } from './compare';
import { hurtUntil, namedCause, worstSymptom } from './incident';
import { ownerOf } from './naming';
import { linkTo, type Change } from './router.svelte';
import { bounds, iso, millis, parseSpan, rangeOf, rangeQuery, type Range } from './time';

/** From and to, milliseconds. */
export type Interval = [number, number];

export interface Sides {
  /** Empty: all services. */
  service: string;
  /** Absent: all, added up. */
  environment: string | undefined;
  /** Absent: one time against another. */
  versions: [string, string] | undefined;
  a: Interval;
  b: Interval;
}

/** Requests are counted in buckets of this length, */
const BUCKET_MS = 10_000;
/** and told when they are this old. */
const TOLD_AFTER_MS = 20_000;
/** A change with less time after it tells nothing yet. */
const AFTER_CHANGE_MS = 120_000;

export function sidesOf(query: URLSearchParams, now: number): Sides {
  const service = query.get('service') ?? '';
  const [from, to] = bounds(rangeOf(query), now);
  const told = Math.max(from + 2 * BUCKET_MS, Math.min(to, now - TOLD_AFTER_MS));
  const b = whole([from, told]);
  const versions = query.get('versions')?.split(',') ?? [];
  const two = service !== '' && versions.length === 2 && versions.every((one) => one !== '');
  return {
    service,
    environment: query.get('environment') ?? undefined,
    versions: two ? [versions[0]!, versions[1]!] : undefined,
    a: two ? b : whole(earlier(query.get('a') ?? '', b)),
    b,
  };
}

/** Whole buckets. */
function whole([from, to]: Interval): Interval {
  const floor = (time: number) => Math.floor(time / BUCKET_MS) * BUCKET_MS;
  return [floor(from), floor(to)];
}

function earlier(text: string, [from, to]: Interval): Interval {
  const [begin, end] = text.split('/').map(Date.parse);
  if (begin! + BUCKET_MS <= end!) return [begin!, end!];
  const by = (parseSpan(text) ?? 0) * 1_000 || to - from;
  return [from - by, to - by];
}

/** `a` of the URL, for a time of its own. */
export function timeText([from, to]: Interval): string {
  return `${iso(from)}/${iso(to)}`;
}

/** A becomes B, and B becomes A. */
export function swapped({ versions, a, b }: Sides): Change {
  if (versions) return { versions: versions.toReversed().join(',') };
  return { ...rangeQuery({ from: a[0], to: a[1] }), a: timeText(b) };
}

/** While an incident lasted against as long before: of who is hurt, where the figures tell it, else
 *  of what is blamed. Not longer than it lasted: what is well again would hide it. */
export function incidentComparison(incident: Incident, now: number): string {
  const blamed = namedCause(incident)?.entity;
  const hurt = worstSymptom(incident)?.entity;
  const service = [hurt, blamed]
    .map((entity) => entity && ownerOf(entity))
    .find((owner) => owner?.kind === 'service');
  const from = millis(incident.onset);
  const until = Math.max(hurtUntil(incident, now), from + 1);
  const to = Math.ceil(until / BUCKET_MS) * BUCKET_MS;
  return comparison(service?.name, incident.scope.environment, { from, to });
}

/** Two versions where there are two; else after the last change against before it; else the range. */
export function serviceComparison(
  detail: ServiceDetail,
  changes: { at: string }[],
  range: Range,
  now: number,
): string {
  const { name, scope } = detail.service.entity;
  const pair = pairOf(detail.versions, begunIn(detail));
  if (pair) {
    const versions = `${pair.before.version},${pair.after.version}`;
    return comparison(name, scope.environment, range, { versions });
  }
  const [from, to] = bounds(range, now);
  const at = Math.max(...changes.map((change) => millis(change.at)));
  const isTold = at > from && at <= to - AFTER_CHANGE_MS;
  return comparison(name, scope.environment, isTold ? { from: at, to } : range);
}

function comparison(
  service: string | undefined,
  environment: string,
  range: Range,
  more: Change = {},
): string {
  return linkTo('/compare', { service, environment, ...rangeQuery(range), ...more });
}

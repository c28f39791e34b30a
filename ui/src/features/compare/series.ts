// One time, out of the series that the engine makes.

import { get } from '../../api/client';
import type { SeriesFound, SeriesRecord } from '../../api/schema';
import type { Part, Subject } from '../../lib/difference';
import type { Line } from '../../lib/points';
import { selector } from '../../lib/red';
import { iso, spanText } from '../../lib/time';
import { ENVIRONMENT, keyOf, newPart, type Asking, type Gathered } from './side';
import { versionsOf } from './spans';

const SERIES_MAX = 2_000;
/** Any of them say whether something was heard at all. */
const HEARD_BY = 20;

/** Requests, errors and durations of all parts. */
export async function addSeries(told: Gathered, asking: Asking): Promise<void> {
  const { service, environment } = asking.sides;
  const scope = { [ENVIRONMENT]: environment };
  const heard = new Set<number>();
  if (service === '') {
    await addParts(told, asking, { ...scope, of: ['service', 'edge'] });
  } else {
    await addParts(told, asking, { ...scope, service });
    const callers = { ...scope, of: 'edge', callee: service, 'callee.kind': 'service' };
    await addParts(told, asking, callers, service);
    const any = await series(asking, 'immune.requests', { of: 'service' }, 'sum', HEARD_BY);
    for (const { points } of any.series) for (const [at] of points) heard.add(at);
    told.versions = await versionsOf(asking).catch(() => {
      told.missing.push('Versions could not be read, and are left out.');
      return [];
    });
  }
  for (const { requests } of told.parts.values()) for (const at of requests.keys()) heard.add(at);
  told.heard = asking.times.filter((at) => heard.has(at));
}

type Labels = Record<string, string | string[] | undefined>;

function series(asking: Asking, metric: string, labels: Labels, fn: string, limit = SERIES_MAX) {
  const { step, times, signal } = asking;
  const query = {
    match: selector(metric, labels),
    from: iso(times[0]!),
    to: iso(times.at(-1)! + step),
    step: spanText(step / 1_000),
    function: fn,
    limit,
  };
  return get<SeriesFound>('/api/v1/series', query, signal);
}

async function addParts(told: Gathered, asking: Asking, labels: Labels, called?: string) {
  const { service } = asking.sides;
  const requests = await series(asking, 'immune.requests', labels, 'sum');
  const errors = await series(asking, 'immune.errors', labels, 'sum');
  const quantiles = { ...labels, quantile: ['0.5', '0.95'] };
  const durations = await series(asking, 'immune.duration', quantiles, 'avg');
  if ([requests, errors, durations].some((found) => found.truncated))
    told.missing.push(`Of more than ${SERIES_MAX} series the rest was left out.`);
  const part = ({ labels }: SeriesRecord) => partOf(told, labels, service, called);
  const add = (line: Line | undefined, { points }: SeriesRecord, both: typeof Math.max) => {
    for (const [at, value] of points)
      if (line && value !== null) line.set(at, both(line.get(at) ?? 0, value));
  };
  const sum = (one: number, other: number) => one + other;
  for (const one of requests.series) add(part(one)?.requests, one, sum);
  for (const one of errors.series) add(part(one)?.errors, one, sum);
  for (const one of durations.series)
    add(part(one)?.[one.labels.quantile === '0.5' ? 'p50' : 'p95'], one, Math.max);
}

/** The part that a series tells of, made when it is first met; of services its base too. */
function partOf(
  told: Gathered,
  labels: Record<string, string>,
  service: string,
  called: string | undefined,
): Part | undefined {
  const { of = '' } = labels;
  const owner = labels.service ?? '';
  const subject: Subject | undefined =
    called !== undefined
      ? { kind: 'caller', service: called, name: owner }
      : of === 'edge'
        ? { kind: 'call', service: owner, name: labels.callee ?? '' }
        : of === 'service' || of === 'operation' || of === 'instance'
          ? { kind: of, service: owner, name: labels[of] ?? '' }
          : undefined;
  if (subject === undefined || (of === 'service' && called === undefined && owner === ''))
    return undefined;
  // Names of one service are added up over its environments.
  const environment = service === '' ? labels[ENVIRONMENT] : '';
  if (subject.kind === 'service') subject.name = '';
  if (service === '') subject.environment = environment;
  const base = keyOf({ kind: 'service', service: service || owner, name: '' }, environment);
  return newPart(
    told,
    keyOf(subject, environment),
    subject,
    subject.kind === 'service' ? undefined : base,
  );
}

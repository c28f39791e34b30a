// Versions, out of spans: counts over the whole time, all else out of the newest requests.

import { get } from '../../api/client';
import type { SpanRecord, SpansFound, SpanStats } from '../../api/schema';
import type { Part, Subject } from '../../lib/difference';
import type { Line } from '../../lib/points';
import { iso, spanText } from '../../lib/time';
import { attributeIs } from '../../lib/tracequery';
import { keyOf, newPart, VERSION, type Asking, type Gathered } from './side';

const SPANS_MAX = 1_000;
const SPANS_OF_VERSIONS = 100;
/** Spans of a window of durations at least, and such windows at most. */
const CHUNK = 10;
const CHUNKS = 20;

function spanFilter({ sides, step, times }: Asking, version?: string) {
  return {
    service: sides.service,
    attribute: version === undefined ? [] : [attributeIs(`resource.${VERSION}`, version)],
    from: iso(times[0]!),
    to: iso(times.at(-1)! + step),
  };
}

/** Names of versions among the newest requests. */
export async function versionsOf(asking: Asking): Promise<string[]> {
  const query = { ...spanFilter(asking), kind: 'server', limit: SPANS_OF_VERSIONS };
  const { resources } = await get<SpansFound>('/api/v1/spans', query, asking.signal);
  const names = resources.map((resource) => resource[VERSION]);
  return [...new Set(names.filter((name) => typeof name === 'string' && name !== ''))] as string[];
}

async function statsOf(
  asking: Asking,
  version: string,
): Promise<Pick<Part, 'requests' | 'errors'>> {
  const step = spanText(asking.step / 1_000);
  const query = { ...spanFilter(asking, version), kind: 'server', step };
  const { windows } = await get<SpanStats>('/api/v1/spans/stats', query, asking.signal);
  const told = windows.filter(({ spans }) => spans > 0);
  return {
    requests: new Map(told.map(({ time, spans }) => [Date.parse(time), spans])),
    errors: new Map(told.map(({ time, errors }) => [Date.parse(time), errors])),
  };
}

export async function addVersions(told: Gathered, asking: Asking, names: string[]): Promise<void> {
  const { service } = asking.sides;
  const all: Line = new Map();
  told.bases.set('versions', all);
  for (const name of names) {
    const counts = await statsOf(asking, name);
    if (counts.requests.size === 0) continue;
    const subject: Subject = { kind: 'version', service, name };
    Object.assign(newPart(told, keyOf(subject), subject, 'versions'), counts);
    for (const [at, count] of counts.requests) all.set(at, (all.get(at) ?? 0) + count);
  }
}

/** One version: the whole and its operations. */
export async function addSpans(told: Gathered, asking: Asking, version: string): Promise<void> {
  const { sides, step, times, signal } = asking;
  const { service } = sides;
  const subject: Subject = { kind: 'service', service, name: '' };
  const key = keyOf(subject);
  const whole = newPart(told, key, subject, key);
  Object.assign(whole, await statsOf(asking, version));
  told.bases.set(key, whole.requests);
  const query = { ...spanFilter(asking, version), kind: 'server', limit: SPANS_MAX };
  const { spans, next } = await get<SpansFound>('/api/v1/spans', query, signal);
  if (next) told.missing.push(`Of ${version} the newest ${SPANS_MAX} requests are looked at.`);
  Object.assign(whole, quantilesOf(spans));
  const sample: Line = new Map();
  told.bases.set('sample', sample);
  for (const name of new Set(spans.map((span) => span.name))) {
    const own = spans.filter((span) => span.name === name);
    const subject: Subject = { kind: 'operation', service, name };
    const part = newPart(told, keyOf(subject), subject, 'sample');
    Object.assign(part, quantilesOf(own));
    for (const span of own) {
      const at = Math.floor(Date.parse(span.start) / step) * step;
      for (const line of [part.requests, sample]) line.set(at, (line.get(at) ?? 0) + 1);
      if (span.status === 'error') part.errors.set(at, (part.errors.get(at) ?? 0) + 1);
    }
  }
  told.heard = times.filter((at) => whole.requests.has(at));
}

/** Of as many spans after each other as make a window. */
function quantilesOf(spans: SpanRecord[]): Pick<Part, 'p50' | 'p95'> {
  const seconds = spans.map((span) => span.duration_nanos / 1e9);
  const size = Math.max(CHUNK, Math.ceil(seconds.length / CHUNKS));
  const [p50, p95]: [Line, Line] = [new Map(), new Map()];
  for (let from = 0; from + size <= seconds.length; from += size) {
    const sorted = seconds.slice(from, from + size).sort((a, b) => a - b);
    p50.set(from, sorted[Math.floor(size * 0.5)]!);
    p95.set(from, sorted[Math.floor(size * 0.95)]!);
  }
  return { p50, p95 };
}

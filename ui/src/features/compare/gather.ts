// What is asked of the server for both sides of a comparison.
//
// Two times are compared by the series that the engine makes. Those do not tell versions apart, so
// versions are compared by spans.

import { get } from '../../api/client';
import type { Bucket, Changes, Histogram, ToldChange } from '../../api/schema';
import { differences, type Finding, type Subject } from '../../lib/difference';
import { resourceField, term } from '../../lib/logquery';
import { ownerOf } from '../../lib/naming';
import type { Interval, Sides } from '../../lib/sides';
import { iso } from '../../lib/time';
import { addSeries } from './series';
import {
  BUCKET_MS,
  keyOf,
  newPart,
  VERSION,
  wholeKey,
  windowsOf,
  type Asking,
  type Gathered,
} from './side';
import { addSpans, addVersions } from './spans';

const VERSIONS_MAX = 4;
const CHANGES_MAX = 1_000;

export interface Compared {
  sides: Sides;
  told: [Gathered, Gathered];
  findings: Finding[];
  /** From the first to the last moment of both, newest first; absent where they cannot be read. */
  changes: ToldChange[] | undefined;
}

export async function compare(sides: Sides, signal: AbortSignal): Promise<Compared> {
  const { service, environment, a, b } = sides;
  const told = await gather(sides, signal);
  hideOnlyEnvironment(told);
  const range = { from: iso(Math.min(a[0], b[0])), to: iso(Math.max(a[1], b[1])) };
  const query = { ...range, limit: CHANGES_MAX };
  const recorded = await get<Changes>('/api/v1/changes', query, signal).catch(() => undefined);
  const changes = recorded?.changes.filter(
    ({ entity }) =>
      (service === '' || ownerOf(entity).name === service) &&
      (environment === undefined || entity.scope.environment === environment),
  );
  const whole = service === '' ? undefined : wholeKey(service);
  return { sides, told, findings: differences(...told, whole), changes };
}

/** Where there are not several it goes without saying. */
function hideOnlyEnvironment(told: Gathered[]): void {
  const subjects = told.flatMap(({ parts }) => [...parts.values()].map(({ subject }) => subject));
  const named = subjects.filter(({ environment }) => environment !== undefined);
  if (new Set(named.map(({ environment }) => environment)).size === 1)
    for (const subject of named) subject.environment = undefined;
}

/** Two questions at a time: as many as the server answers at once. */
async function gather(sides: Sides, signal: AbortSignal): Promise<[Gathered, Gathered]> {
  const { versions, a, b } = sides;
  const one = (interval: Interval, version?: string) => side(sides, interval, signal, version);
  if (versions) return Promise.all([one(b, versions[0]), one(b, versions[1])]);
  const both = await Promise.all([one(a), one(b)]);
  const names = [...new Set(both.flatMap((side) => side.versions))].sort().slice(0, VERSIONS_MAX);
  // That a version is new can only be said by counting both.
  if (names.length > 1) {
    await Promise.all([
      addVersions(both[0], { sides, ...windowsOf(sides, a), signal }, names),
      addVersions(both[1], { sides, ...windowsOf(sides, b), signal }, names),
    ]);
  }
  return both;
}

async function side(
  sides: Sides,
  interval: Interval,
  signal: AbortSignal,
  version?: string,
): Promise<Gathered> {
  const { step, times } = windowsOf(sides, interval);
  const told: Gathered = {
    step_s: step / 1_000,
    heard: [],
    windows: times.length,
    parts: new Map(),
    bases: new Map(),
    missing: [],
    versions: [],
  };
  if (times.length === 0) return told;
  const asking = { sides, step, times, signal };
  if (version === undefined) await addSeries(told, asking);
  else await addSpans(told, asking, version);
  await addLines(told, asking, version);
  return told;
}

/** Log lines by severity, in the same windows. */
async function addLines(told: Gathered, asking: Asking, version?: string): Promise<void> {
  const { sides, step, times, signal } = asking;
  const { service } = sides;
  if (told.heard.length === 0) return;
  const late = version === undefined ? BUCKET_MS : 0;
  const words = [
    service && term('service', service),
    version && term(resourceField(VERSION), version),
  ];
  const range = { from: iso(times[0]! - late), to: iso(times.at(-1)! + step - late) };
  const query = { query: words.filter(Boolean).join(' '), ...range, buckets: times.length };
  const found = await get<Histogram>('/api/v1/logs/histogram', query, signal).catch(
    () => undefined,
  );
  if (!found || found.truncated) {
    told.missing.push('Log lines could not all be counted, and are left out.');
    return;
  }
  const count = {
    error: (bucket: Bucket) => bucket.error + bucket.fatal,
    warn: (bucket: Bucket) => bucket.warn,
    other: ({ none, trace, debug, info }: Bucket) => none + trace + debug + info,
  };
  for (const [name, of] of Object.entries(count)) {
    const subject: Subject = { kind: 'lines', service, name };
    const lines = new Map(found.buckets.map((bucket, index) => [times[index]!, of(bucket)]));
    if ([...lines.values()].every((one) => one === 0)) continue;
    const base = version === undefined ? undefined : wholeKey(service);
    newPart(told, keyOf(subject), subject, base).requests = lines;
  }
}

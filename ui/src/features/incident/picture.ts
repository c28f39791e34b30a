// What is asked of the server for one incident, and how it fits together: who calls whom, the
// figures of those on the way and beside it, and what was changed in that time.

import { get } from '../../api/client';
import type {
  Changes,
  Entity,
  Histogram,
  Incident,
  SeriesFound,
  ToldChange,
  Topology,
} from '../../api/schema';
import type { Axis, Figures } from '../../lib/flows';
import { hurtSince, hurtUntil, namedCause } from '../../lib/incident';
import { entityKey, ownerOf } from '../../lib/naming';
import { anyOf, selector, windows, type Line } from '../../lib/points';
import { spread, type Spread } from '../../lib/spread';
import { bounds, iso, millis, rangeOf, spanText } from '../../lib/time';

export interface Picture {
  axis: Axis;
  figures: Figures;
  /** Undefined where they could not be read: the figures stand without them. */
  changes: ToldChange[] | undefined;
  spread: Spread;
  /** By key of the spread. */
  entities: Map<string, Entity>;
  /** Calls along which the effect runs, those to the cause first; and those beside. */
  way: { caller: Entity; callee: Entity }[];
  beside: { caller: Entity; callee: Entity }[];
}

const BEFORE_MS = 10 * 60_000;
const AFTER_MS = 5 * 60_000;
const STEPS_S = [10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 21_600, 86_400];
const WINDOWS_MAX = 150;
const SERIES_MAX = 2_000;

/** The time that the page shows: the incident's own, or the one that the URL names. */
export function timeOf(incident: Incident, query: URLSearchParams, now: number): [number, number] {
  if (query.has('last') || query.has('from')) return bounds(rangeOf(query), now);
  const onset = millis(incident.onset);
  const end = hurtUntil(incident, now);
  const before = Math.max(BEFORE_MS, (end - onset) / 3);
  return [onset - before, Math.min(now, end + Math.max(AFTER_MS, (end - onset) / 4))];
}

export function axisOf(incident: Incident, [from, to]: [number, number], now: number): Axis {
  const seconds = (to - from) / 1000;
  const step = (STEPS_S.find((one) => seconds / one <= WINDOWS_MAX) ?? 7 * 86_400) * 1000;
  return {
    times: windows(from, to, step),
    step,
    onset: millis(incident.onset),
    since: hurtSince(incident),
    until: hurtUntil(incident, now),
    live: incident.state === 'open' && now - to < 60_000,
  };
}

/** Services, databases and the like whose symptoms the incident is of, and what is blamed. */
function ends(incident: Incident): { hurt: Entity[]; cause: Entity | undefined } {
  const hurt = new Map<string, Entity>();
  for (const { entity } of incident.symptoms) {
    const owner = ownerOf(entity);
    hurt.set(entityKey(owner), owner);
  }
  const cause = namedCause(incident);
  return { hurt: [...hurt.values()], cause: cause && ownerOf(cause.entity) };
}

export async function picture(
  incident: Incident,
  time: [number, number],
  now: number,
  signal: AbortSignal,
): Promise<Picture> {
  const axis = axisOf(incident, time, now);
  const range = { from: iso(axis.times[0] ?? time[0]), to: iso(time[1]) };
  const [topology, changes] = await Promise.all([
    get<Topology>('/api/v1/topology', undefined, signal),
    get<Changes>('/api/v1/changes', { ...range, limit: 200 }, signal).catch(() => undefined),
  ]);
  const { hurt, cause } = ends(incident);
  const entities = new Map<string, Entity>();
  const keep = (entity: Entity) => {
    const key = entityKey(entity);
    entities.set(key, entity);
    return key;
  };
  const { tenant, environment } = incident.scope;
  const edges = topology.edges.filter(
    ({ caller: { scope } }) => scope.tenant === tenant && scope.environment === environment,
  );
  const calls = edges.map((edge) => ({ caller: keep(edge.caller), callee: keep(edge.callee) }));
  const shape = spread(calls, hurt.map(keep), cause && keep(cause));
  const figures = await ask(shape, entities, incident, axis, range, signal);
  const pair = (step: { caller: string; callee: string }) => ({
    caller: entities.get(step.caller)!,
    callee: entities.get(step.callee)!,
  });
  const column = new Map(shape.spots.map((spot) => [spot.key, spot.column]));
  const onWay = new Set(
    shape.spots.filter((spot) => spot.role !== 'beside').map((spot) => spot.key),
  );
  return {
    axis,
    figures,
    changes: changes?.changes,
    spread: shape,
    entities,
    way: shape.steps
      .filter((step) => step.hurt)
      .sort((a, b) => column.get(b.callee)! - column.get(a.callee)!)
      .map(pair),
    beside: shape.steps
      .filter((step) => !step.hurt && onWay.has(step.caller) && !onWay.has(step.callee))
      .map(pair),
  };
}

async function ask(
  shape: Spread,
  entities: Map<string, Entity>,
  incident: Incident,
  axis: Axis,
  range: { from: string; to: string },
  signal: AbortSignal,
): Promise<Figures> {
  const services = shape.spots
    .map((spot) => entities.get(spot.key)!)
    .filter((entity) => entity.kind === 'service')
    .map((entity) => entity.name);
  const labels: Record<string, string> = {
    'service~': anyOf(services),
    'deployment.environment.name': incident.scope.environment,
  };
  if (incident.scope.tenant !== 'default') labels.tenant = incident.scope.tenant;
  const step = spanText(axis.step / 1000);
  const of = async (metric: string, more: Record<string, string>, fn: string) => {
    if (services.length === 0) return [];
    const match = selector(metric, { ...labels, ...more });
    const query = { ...range, match, step, function: fn, limit: SERIES_MAX };
    return (await get<SeriesFound>('/api/v1/series', query, signal)).series;
  };
  const operations = incident.symptoms.some(({ entity }) => entity.kind === 'operation');
  const kinds = { 'of~': operations ? 'service|instance|edge|operation' : 'service|instance|edge' };
  const leaks = incident.causes.some((cause) => cause.kind === 'leak');
  // The server answers two such questions at a time, and not to this page alone.
  const [requests, errors] = await Promise.all([
    of('immune.requests', kinds, 'sum'),
    of('immune.errors', kinds, 'sum'),
  ]);
  const [durations, memory] = await Promise.all([
    of('immune.duration', { ...kinds, quantile: '0.95' }, 'max'),
    leaks ? of('immune.process.memory', {}, 'last') : [],
  ]);
  const errorLines = await countErrors(shape, entities, axis, signal);
  return { requests, errors, durations, memory, errorLines };
}

/** Counts of error lines in the windows of the axis; undefined where they cannot be had. */
async function countErrors(
  shape: Spread,
  entities: Map<string, Entity>,
  axis: Axis,
  signal: AbortSignal,
): Promise<Line | undefined> {
  const services = wayServices(shape, entities);
  const [first, last] = [axis.times[0], axis.times.at(-1)];
  if (services.length === 0 || first === undefined || last === undefined) return undefined;
  const range = { from: iso(first), to: iso(last + axis.step), buckets: axis.times.length };
  const asked = { query: logQuery(services, 'error'), ...range };
  const found = await get<Histogram>('/api/v1/logs/histogram', asked, signal).catch(
    () => undefined,
  );
  if (!found || found.truncated) return undefined;
  return new Map(
    found.buckets.map((bucket, index) => [axis.times[index]!, bucket.error + bucket.fatal]),
  );
}

/** Names of the services on the way. */
export function wayServices(shape: Spread, entities: Map<string, Entity>): string[] {
  return shape.spots
    .filter((spot) => spot.role !== 'beside')
    .map((spot) => entities.get(spot.key)!)
    .filter((entity) => entity.kind === 'service')
    .map((entity) => entity.name)
    .sort();
}

/** Log lines of these services, at least as severe. */
export function logQuery(services: string[], severity: 'warn' | 'error'): string {
  const names = services.map((name) => `service:"${name.replaceAll('"', '')}"`);
  return `severity:>=${severity} (${names.join(' OR ')})`;
}

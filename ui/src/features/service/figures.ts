// Requests, errors and durations of one node over the range of the page: as a whole, and by its
// operations, instances, versions or callers.

import { get } from '../../api/client';
import type { Entity, SeriesFound, SeriesRecord, ServiceDetail } from '../../api/schema';
import { stepFor, type ChartPoint } from '../../lib/chart';
import { grouped, selector, settled } from '../../lib/red';
import { iso, spanText } from '../../lib/time';

const POINTS = 150;
/** Series of one answer; of a service with more operations the rest is not drawn. */
const SERIES_MAX = 2_000;
const QUANTILES = ['0.5', '0.95', '0.99'];

/** Counts of windows, and seconds. */
export interface Figures {
  requests: ChartPoint[];
  errors: ChartPoint[];
  p50: ChartPoint[];
  p95: ChartPoint[];
  p99: ChartPoint[];
}

export type By = 'operation' | 'instance' | 'version' | 'caller';
export const BYS: By[] = ['version', 'operation', 'instance', 'caller'];

export interface Red {
  from: number;
  to: number;
  /** Milliseconds. */
  step: number;
  whole: Figures;
  parts: Record<'operation' | 'instance' | 'caller', Map<string, Figures>>;
  /** There is more than could be asked for. */
  truncated: boolean;
}

type Labels = Record<string, string | string[] | undefined>;
type Key = (labels: Record<string, string>) => string | undefined;

interface Asked {
  from: number;
  to: number;
  signal: AbortSignal;
}

const METRICS = [
  ['immune.requests', 'sum'],
  ['immune.errors', 'sum'],
  ['immune.duration', 'avg'],
] as const;

/** One question after another: the server answers two at a time, for all who ask. */
async function ask(labels: Labels, { from, to, signal }: Asked): Promise<SeriesFound[]> {
  const found: SeriesFound[] = [];
  const step = spanText(stepFor(from, to, POINTS) / 1_000);
  for (const [metric, value] of METRICS) {
    const all = metric === 'immune.duration' ? { ...labels, quantile: QUANTILES } : labels;
    const query = {
      match: selector(metric, all),
      from: iso(from),
      to: iso(to),
      step,
      function: value,
      limit: SERIES_MAX,
    };
    found.push(await get<SeriesFound>('/api/v1/series', query, signal));
  }
  return found;
}

function figures(found: SeriesFound[], key: Key, step: number, now: number): Map<string, Figures> {
  const [requests, errors, durations] = found.map(({ series }) => series);
  const of = (series: SeriesRecord[] | undefined, take: Key = key) =>
    new Map(
      [...grouped(series ?? [], take)].map(([name, points]) => [name, settled(points, step, now)]),
    );
  const quantile = (q: string) =>
    of(durations, (labels) => (labels.quantile === q ? key(labels) : undefined));
  const all = of(requests);
  const [failed, p50, p95, p99] = [of(errors), quantile('0.5'), quantile('0.95'), quantile('0.99')];
  return new Map(
    [...all].map(([name, points]) => [
      name,
      {
        requests: points,
        errors: failed.get(name) ?? [],
        p50: p50.get(name) ?? [],
        p95: p95.get(name) ?? [],
        p99: p99.get(name) ?? [],
      },
    ]),
  );
}

const NONE: Figures = { requests: [], errors: [], p50: [], p95: [], p99: [] };

/** `callers` are asked for where they are shown; of what tells nothing itself they are all there is. */
export async function red(
  entity: Entity,
  callers: boolean,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Red> {
  const step = stepFor(from, to, POINTS);
  const asked = { from, to, signal };
  const scope = { 'deployment.environment.name': entity.scope.environment };
  const isService = entity.kind === 'service';
  const label = (of: string, name: string): Key => {
    return (labels) => (labels.of === of ? (labels[name] ?? '') : undefined);
  };
  const own: Labels = { ...scope, service: entity.name };
  const called: Labels = {
    ...scope,
    of: 'edge',
    callee: entity.name,
    'callee.kind': entity.kind,
  };
  const nothing = Promise.resolve<SeriesFound[]>([]);
  // Two at a time, as many as the server answers at once.
  const [whole, inner] = await Promise.all([
    isService ? ask({ ...own, of: 'service' }, asked) : nothing,
    isService ? ask({ ...own, of: ['operation', 'instance'] }, asked) : nothing,
  ]);
  const edges = callers || !isService ? await ask(called, asked) : [];
  const byCaller = figures(edges, label('edge', 'service'), step, to);
  // What several callers tell can be added up, but for durations.
  const [only] = byCaller.size === 1 ? byCaller.values() : [];
  const total = isService
    ? figures(whole, () => '', step, to).get('')
    : (only ?? figures(edges.slice(0, 2), () => '', step, to).get(''));
  return {
    from,
    to,
    step,
    whole: total ?? NONE,
    parts: {
      operation: figures(inner, label('operation', 'operation'), step, to),
      instance: figures(inner, label('instance', 'instance'), step, to),
      caller: byCaller,
    },
    truncated: [...whole, ...inner, ...edges].some((found) => found.truncated),
  };
}

/** The version that each instance runs; of those that are gone nobody knows any more. */
export const GONE = 'instances that are gone';

export function byVersion(red: Red, detail: ServiceDetail): Map<string, Figures> {
  const versions = new Map(
    detail.instances.map(({ instance, version }) => [instance, version || 'no version told']),
  );
  const groups = new Map<string, Figures[]>();
  for (const [instance, one] of red.parts.instance) {
    const version = versions.get(instance) ?? GONE;
    groups.set(version, [...(groups.get(version) ?? []), one]);
  }
  return new Map([...groups].map(([version, list]) => [version, merged(list)]));
}

/** Counts add up; of durations the slowest part's is taken, since quantiles cannot be added. */
export function merged(list: Figures[]): Figures {
  const added = (pick: (one: Figures) => ChartPoint[]) => combine(list.map(pick), (a, b) => a + b);
  const slowest = (pick: (one: Figures) => ChartPoint[]) => combine(list.map(pick), Math.max);
  return {
    requests: added((one) => one.requests),
    errors: added((one) => one.errors),
    p50: slowest((one) => one.p50),
    p95: slowest((one) => one.p95),
    p99: slowest((one) => one.p99),
  };
}

function combine(lists: ChartPoint[][], both: (a: number, b: number) => number): ChartPoint[] {
  const values = new Map<number, number>();
  for (const [at, value] of lists.flat()) {
    if (value === null) continue;
    const known = values.get(at);
    values.set(at, known === undefined ? value : both(known, value));
  }
  return [...values].sort(([a], [b]) => a - b);
}

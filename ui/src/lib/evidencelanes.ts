// Lanes of one kind each: requests that succeed or fail, durations, traffic, memory.

import { bytes, percent, rate, took, THIN } from './format';
import { beforeAndNow, type Axis, type Figures, type Flow } from './flows';
import { entityName, ownerOf } from './naming';
import { aligned, known, roundUp, scaled, total, type Line } from './points';
import type { Lane } from '../components/lanes';
import type { Entity, Incident, ObjectiveState } from '../api/schema';

/** Traces of the time that a lane is about. */
export type Traces = (service: string, failed: boolean) => (from: number, to: number) => string;

export interface LaneFacts {
  incident: Incident;
  objectives: ObjectiveState[];
  figures: Figures;
  axis: Axis;
  /** Calls along which the effect runs, the cause's first. */
  way: { caller: Entity; callee: Entity }[];
  /** Calls beside it. */
  beside: { caller: Entity; callee: Entity }[];
  traces: Traces;
  /** The error lines of a time. */
  errorLines?: (from: number, to: number) => string;
}

const words = (format: (value: number) => string, value: number | undefined) =>
  value === undefined ? '' : format(value);

export function successLane(
  { axis, traces }: LaneFacts,
  name: string,
  flow: Flow,
  service: string,
  limit: number | undefined,
): Lane {
  const line = new Map([...flow.failing].map(([at, value]) => [at, 1 - value]));
  const { now, was } = beforeAndNow(line, axis);
  const least = Math.min(1, limit ?? 1, ...line.values());
  const low = [0.999, 0.99, 0.95, 0.9, 0.8, 0.5].find((end) => least >= end) ?? 0;
  return {
    id: `success ${name}`,
    title: 'Requests that succeed',
    about: limit === undefined ? name : `${name}, objective ${percent(limit)}`,
    lines: [{ name, values: aligned(line, axis.times), tone: 's1' }],
    low: low === 0.999 ? 0.99 : low,
    high: 1,
    format: percent,
    limit: limit === undefined ? undefined : { at: limit, bad: 'below' },
    now: words(percent, now),
    was: was === undefined ? '' : `was ${percent(was)}`,
    bad: limit !== undefined && now !== undefined && now < limit,
    link: traces(service, true),
  };
}

export function durationLane(
  { axis, traces }: LaneFacts,
  title: string,
  flow: Flow,
  service: string,
  limit?: number,
): Lane {
  const { now, was } = beforeAndNow(flow.p95, axis);
  return {
    id: `duration ${title}`,
    title,
    about: limit === undefined ? '95 of 100 are faster' : `p95, limit ${took(limit)}`,
    lines: [{ name: 'p95', values: aligned(flow.p95, axis.times), tone: 's1' }],
    low: 0,
    high: roundUp(Math.max(limit ?? 0, ...flow.p95.values())),
    format: took,
    limit: limit === undefined ? undefined : { at: limit, bad: 'above' },
    now: words(took, now),
    was: was === undefined ? '' : `was ${took(was)}`,
    bad: limit !== undefined && now !== undefined && now > limit,
    link: traces(service, false),
  };
}

export function trafficLane(
  { axis, traces }: LaneFacts,
  name: string,
  flow: Flow,
  service: string,
): Lane {
  const line = scaled(flow.requests, 1000 / axis.step);
  const { now, was } = beforeAndNow(line, axis);
  return {
    id: `traffic ${name}`,
    title: `Requests to ${name}`,
    about: 'that ended',
    lines: [{ name, values: aligned(line, axis.times), tone: 's1', area: true }],
    low: 0,
    high: roundUp(Math.max(0, ...line.values())),
    format: rate,
    now: words(rate, now),
    was: was === undefined ? '' : `was ${rate(was)}${changeWords(now, was)}`,
    link: traces(service, false),
  };
}

function changeWords(now: number | undefined, was: number): string {
  if (now === undefined || was === 0) return '';
  const more = Math.round((now / was - 1) * 100);
  return Math.abs(more) < 5 ? '' : `, ${more > 0 ? '+' : '−'}${Math.abs(more)}${THIN}%`;
}

export function failingLane(
  { axis, traces }: LaneFacts,
  id: string,
  title: string,
  about: string,
  lines: { name: string; flow: Flow; tone: 's1' | 's2' | 's6' }[],
  service: string,
): Lane {
  const first = lines[0]!;
  const { now, was } = beforeAndNow(first.flow.failing, axis);
  const high = Math.max(0.01, ...lines.flatMap(({ flow }) => [...flow.failing.values()]));
  const bad = now !== undefined && now > 2 * (was ?? 0) && now > 0.01;
  return {
    id,
    title,
    about,
    lines: lines.map(({ name, flow, tone }, index) => ({
      name,
      values: aligned(flow.failing, axis.times),
      tone,
      area: index === 0,
    })),
    low: 0,
    high: Math.min(1, roundUp(high)),
    format: percent,
    now: words(percent, now),
    was: was === undefined ? '' : `was ${percent(was)}`,
    bad,
    link: traces(service, true),
  };
}

export function besideSiblings(
  axis: Axis,
  name: string,
  flow: Flow,
  siblings: Flow,
  link: Lane['link'],
): Lane {
  const { now, was } = beforeAndNow(flow.p95, axis);
  const lines = [
    { name, values: aligned(flow.p95, axis.times), tone: 's2' as const },
    { name: 'its siblings', values: aligned(siblings.p95, axis.times), tone: 's1' as const },
  ].filter((line) => known(line.values).length > 0);
  return {
    id: `p95 by instance ${name}`,
    title: `Duration at ${name}`,
    about: lines.length > 1 ? 'p95, beside its siblings' : 'p95',
    lines,
    low: 0,
    high: roundUp(Math.max(0, ...flow.p95.values(), ...siblings.p95.values())),
    format: took,
    now: words(took, now),
    was: was === undefined ? '' : `was ${took(was)}`,
    link,
  };
}

export function memoryLane({ figures, axis }: LaneFacts, entity: Entity): Lane {
  const service = ownerOf(entity).name;
  const line = total(
    figures.memory,
    (l) =>
      l.service === service &&
      (entity.kind !== 'instance' || (l.instance ?? entity.name) === entity.name),
  );
  // It is told once a minute: between two looks it is what it was.
  const held: Line = new Map();
  let last: number | undefined;
  for (const at of axis.times) {
    last = line.get(at) ?? last;
    if (last !== undefined) held.set(at, last);
  }
  const { now, was } = beforeAndNow(held, axis);
  return {
    id: `memory ${entityName(entity)}`,
    title: `Memory of ${entityName(entity)}`,
    about: 'its process, as the agent sees it',
    lines: [{ name: 'memory', values: aligned(held, axis.times), tone: 's2', area: true }],
    low: 0,
    high: Math.max(1, ...held.values()) * 1.1,
    format: bytes,
    now: words(bytes, now),
    was: was === undefined ? '' : `was ${bytes(was)}`,
  };
}

/** Absent lines are none: what is asked for is counted, not sampled. */
export function errorLinesLane({ figures, axis, errorLines }: LaneFacts): Lane | undefined {
  if (!figures.errorLines) return undefined;
  const line = scaled(figures.errorLines, 1000 / axis.step);
  if (![...line.values()].some((value) => value > 0)) return undefined;
  const { now, was } = beforeAndNow(line, axis);
  return {
    id: 'error lines',
    title: 'Errors logged',
    about: 'by those on the way',
    lines: [{ name: 'error lines', values: aligned(line, axis.times), tone: 's2' }],
    bars: true,
    low: 0,
    high: roundUp(Math.max(...line.values())),
    format: rate,
    now: words(rate, now),
    was: was === undefined ? '' : was === 0 ? 'none before' : `was ${rate(was)}`,
    bad: now !== undefined && now > 3 * (was ?? 0),
    link: errorLines,
  };
}

// Requests, errors and durations over time, out of the series that the engine makes
// (docs/traces.md): asked for by windows, added up, and turned into rates and shares.
//
// What was counted in 10 s bears the time of their end. So a window that begins at T tells of what
// ended from T - 10 s on, and all times are taken back by that.

import type { ChartPoint } from './chart';

const BUCKET_MS = 10_000;

export interface SeriesLike {
  labels: Record<string, string>;
  points: ChartPoint[];
}

type Labels = Record<string, string | string[] | undefined>;

/** `metric{label="value"}`, of any metric where it is empty; a list of values takes any of them, and none of an empty label. */
export function selector(metric: string, labels: Labels): string {
  const matchers = Object.entries(labels).flatMap(([label, value]) => {
    if (value === undefined) return [];
    if (typeof value === 'string') return [`${quoted(label)}=${quoted(value)}`];
    return [`${quoted(label)}=~${quoted(value.map(asRegex).join('|'))}`];
  });
  const name = metric === '' || /^[\w.:/-]+$/.test(metric) ? metric : quoted(metric);
  return `${name}{${matchers.join(',')}}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

function asRegex(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}

/** Points by what `key` says of a series' labels; those of one time are added up. */
export function grouped(
  series: SeriesLike[],
  key: (labels: Record<string, string>) => string | undefined,
): Map<string, ChartPoint[]> {
  const sums = new Map<string, Map<number, number>>();
  for (const { labels, points } of series) {
    const name = key(labels);
    if (name === undefined) continue;
    const sum = sums.get(name) ?? new Map<number, number>();
    sums.set(name, sum);
    for (const [at, value] of points) if (value !== null) sum.set(at, (sum.get(at) ?? 0) + value);
  }
  return new Map([...sums].map(([name, sum]) => [name, [...sum].sort(([a], [b]) => a - b)]));
}

/** Brings the windows to the time that they tell of, without those that are not over yet. */
export function settled(points: ChartPoint[], step: number, now: number): ChartPoint[] {
  return points.filter(([at]) => at + step <= now).map(([at, value]) => [at - BUCKET_MS, value]);
}

/** Counts of windows as a rate a second. */
export function perSecond(points: ChartPoint[], step: number): ChartPoint[] {
  return points.map(([at, value]) => [at, value === null ? null : value / (step / 1_000)]);
}

/** Of each window of `whole` the share that `part` is; where it has no part, none of it. */
export function shareOf(part: ChartPoint[], whole: ChartPoint[]): ChartPoint[] {
  const parts = new Map(part);
  return whole.map(([at, value]) => [
    at,
    value === null || value <= 0 ? null : Math.min(1, (parts.get(at) ?? 0) / value),
  ]);
}

/** All of `groups` together. */
export function together(groups: ChartPoint[][]): ChartPoint[] {
  return (
    grouped(
      groups.map((points) => ({ labels: {}, points })),
      () => '',
    ).get('') ?? []
  );
}

export function sumOf(points: ChartPoint[]): number {
  return points.reduce((sum, [, value]) => sum + (value ?? 0), 0);
}

/** Values at even steps from `from` to `to`, null where nothing was told: for a sparkline. */
export function evenly(points: ChartPoint[], from: number, to: number, step: number) {
  const told = new Map(points.map(([at, value]) => [Math.round(at / step), value]));
  const values: (number | null)[] = [];
  for (let place = Math.round(from / step); place < Math.round(to / step); place += 1)
    values.push(told.get(place) ?? null);
  return values;
}

// What a chart over time needs to know beside its picture: lines on one set of times with their
// gaps, ticks of both axes, the point nearest to a time. Times are milliseconds since 1970.

import { THIN } from './format';

/** Time and value; null where something is known to be missing. */
export type ChartPoint = [number, number | null];
export type Tone = 's1' | 's2' | 's3' | 's4' | 's5' | 's6' | 'bad' | 'ink-3';

export interface Line {
  name: string;
  /** By time, rising. */
  points: ChartPoint[];
  /** Absent: by its place among the lines. */
  tone?: Tone;
  /** A tint under it; only for what is lost or added. */
  area?: boolean;
  /** Bars instead of a line: for counts of separate things. */
  bars?: boolean;
}

/** Something that was changed at a moment; `blamed` ones are drawn solid. */
export interface Mark {
  at: number;
  label: string;
  blamed?: boolean;
  href?: string;
}

/** A time that is marked as a whole, such as that of an incident; without an end it lasts. */
export interface Span {
  from: number;
  to?: number;
  label: string;
  href?: string;
}

/** A value that should not be crossed. */
export interface Limit {
  value: number;
  label: string;
  bad: 'above' | 'below';
}

const TONES: Tone[] = ['s1', 's2', 's3', 's4', 's5'];
export const DASHES: Partial<Record<Tone, number[]>> = {
  s3: [5, 2],
  s4: [2, 2],
  s5: [8, 2, 2, 2],
};

export function toneOf(line: Line, index: number): Tone {
  return line.tone ?? TONES[index % TONES.length]!;
}

export interface Aligned {
  times: number[];
  /** By line and time. Null breaks the line, undefined is a time of other lines only. */
  values: (number | null | undefined)[][];
  /** By line: places of points with a gap on both sides, which no line would show. */
  lonely: number[][];
}

/** Points further apart than this many steps have a gap between them. */
const GAP_STEPS = 1.5;
const GAP_STEPS_GUESSED = 3;

/** All lines on the same times. Without `step` it is guessed from each line's points. */
export function align(lines: Line[], step?: number): Aligned {
  const broken = lines.map((line) => withGaps(line.points, step));
  const times = [...new Set(broken.flatMap((points) => points.map(([time]) => time)))];
  times.sort((a, b) => a - b);
  const places = new Map(times.map((time, place) => [time, place]));
  const values = broken.map((points) => {
    const row = new Array<number | null | undefined>(times.length).fill(undefined);
    for (const [time, value] of points) row[places.get(time)!] = value;
    return row;
  });
  return { times, values, lonely: values.map(lonelyIn) };
}

function withGaps(points: ChartPoint[], step?: number): ChartPoint[] {
  const length = step ?? usualStep(points);
  const most = length * (step === undefined ? GAP_STEPS_GUESSED : GAP_STEPS);
  const broken: ChartPoint[] = [];
  for (const [index, point] of points.entries()) {
    const before = points[index - 1];
    if (before && point[0] - before[0] > most) broken.push([before[0] + length, null]);
    broken.push(point);
  }
  return broken;
}

function usualStep(points: ChartPoint[]): number {
  const steps = points.slice(1).map((point, index) => point[0] - points[index]![0]);
  return median(steps) ?? Infinity;
}

function lonelyIn(values: (number | null | undefined)[]): number[] {
  const known = values.flatMap((value, place) => (value === undefined ? [] : [[place, value]]));
  return known
    .filter(
      ([, value], index) =>
        typeof value === 'number' &&
        typeof known[index - 1]?.[1] !== 'number' &&
        typeof known[index + 1]?.[1] !== 'number',
    )
    .map(([place]) => place as number);
}

export function median(values: number[]): number | undefined {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The place of the time nearest to `time`; undefined where there are none. */
export function nearest(times: number[], time: number): number | undefined {
  if (times.length === 0) return undefined;
  let low = 0;
  let high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= time) low = middle;
    else high = middle;
  }
  return time - times[low]! <= times[high]! - time ? low : high;
}

export interface ValueScale {
  low: number;
  high: number;
  ticks: number[];
  log: boolean;
  /** 0 at the bottom, 1 at the top; beyond them where the value is. */
  at: (value: number) => number;
}

export interface ScaleChoice {
  /** Absent: 0, or what the values need where they are negative. */
  low?: number;
  high?: number;
  /** The top is at least this, so that a small thing looks small. */
  least?: number;
  log?: boolean;
  /** Ticks at powers of 1,024. */
  binary?: boolean;
}

const INTERVALS = 3;

export function valueScale(values: number[], choice: ScaleChoice = {}): ValueScale {
  const known = values.filter(Number.isFinite);
  if (choice.log) return logScale(known.filter((value) => value > 0));
  const smallest = Math.min(0, ...known);
  const largest = Math.max(...known, choice.least ?? 0);
  const from = choice.low ?? smallest;
  const to = choice.high ?? (largest > from ? largest : from + 1);
  const step = niceStep((to - from) / INTERVALS, choice.binary);
  const low = choice.low ?? Math.floor(from / step) * step;
  const high = choice.high ?? Math.ceil(to / step - 1e-9) * step;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high * (1 + 1e-9); tick += 1)
    ticks.push(Number((tick * step).toPrecision(12)));
  const at = (value: number) => (value - low) / (high - low);
  return { low, high, ticks, log: false, at };
}

function logScale(values: number[]): ValueScale {
  const least = values.length > 0 ? Math.min(...values) : 0.001;
  const most = values.length > 0 ? Math.max(...values) : 1;
  const from = Math.floor(Math.log10(least) + 1e-9);
  const to = Math.max(Math.ceil(Math.log10(most) - 1e-9), from + 1);
  const ticks: number[] = [];
  for (let power = from; power <= to; power += 1) ticks.push(Number(`1e${power}`));
  const at = (value: number) => (Math.log10(value) - from) / (to - from);
  return { low: ticks[0]!, high: ticks.at(-1)!, ticks, log: true, at };
}

/** 1, 2, 2.5 or 5 of the next power that is at least `raw`. */
function niceStep(raw: number, binary = false): number {
  if (binary && raw >= 1) {
    const unit = 1024 ** Math.floor(Math.log(raw) / Math.log(1024));
    return niceStep(raw / unit) * unit;
  }
  const power = 10 ** Math.floor(Math.log10(raw));
  for (const factor of [1, 2, 2.5, 5])
    if (raw <= factor * power * (1 + 1e-9)) return factor * power;
  return 10 * power;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28].map((n) => n * DAY),
];

export interface TimeTick {
  at: number;
  label: string;
}

/** Round times (UTC) between two, at most `most`. */
export function timeTicks(from: number, to: number, most: number): TimeTick[] {
  const steps = TIME_STEPS.filter((step) => (to - from) / step <= Math.max(1, most));
  const step = steps[0] ?? TIME_STEPS.at(-1)!;
  const ticks: TimeTick[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step)
    ticks.push({ at, label: timeLabel(at, step) });
  return ticks;
}

function timeLabel(at: number, step: number): string {
  const text = new Date(at).toISOString();
  if (at % DAY === 0 && step >= HOUR) {
    const day = { day: 'numeric', month: 'short', timeZone: 'UTC' } as const;
    return new Date(at).toLocaleDateString('en-GB', day);
  }
  return text.slice(11, step < MINUTE ? 19 : 16);
}

/** A step for about `points` points, of those that buckets of 10 s can give. */
export function stepFor(from: number, to: number, points: number): number {
  const wanted = (to - from) / points;
  return TIME_STEPS.find((step) => step % (10 * SECOND) === 0 && step >= wanted) ?? 28 * DAY;
}

/** How far a value is from what it usually is: `+28 %`, `×3.4`; empty where that says nothing. */
export function against(value: number, usual: number | undefined): string {
  if (usual === undefined || usual <= 0 || value < 0) return '';
  const times = value / usual;
  if (times >= 2)
    return `×${Number(times.toPrecision(times < 100 ? 2 : 3)).toLocaleString('en-US')}`;
  const percent = Math.round((times - 1) * 100);
  if (percent === 0) return `±0${THIN}%`;
  return `${percent < 0 ? '−' : '+'}${Math.abs(percent)}${THIN}%`;
}

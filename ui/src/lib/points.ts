// Arithmetic on series as the API gives them: points of one time add up, windows line up, and what
// is not known stays unknown.

/** What is read of a series. */
export interface SeriesLike {
  labels: Record<string, string>;
  points: [number, number | null][];
}

/** Values by the time of their window, milliseconds. */
export type Line = Map<number, number>;

/** All that `of` lets through, added up. */
export function total(series: SeriesLike[], of: (labels: Record<string, string>) => boolean): Line {
  const line: Line = new Map();
  for (const { labels, points } of series) {
    if (!of(labels)) continue;
    for (const [at, value] of points) {
      if (value !== null) line.set(at, (line.get(at) ?? 0) + value);
    }
  }
  return line;
}

/** Of each window of `whole` its part; a part that is absent is none, a whole that is absent unknown. */
export function share(part: Line, whole: Line): Line {
  const line: Line = new Map();
  for (const [at, value] of whole) {
    if (value > 0) line.set(at, Math.min(1, (part.get(at) ?? 0) / value));
  }
  return line;
}

export function scaled(line: Line, factor: number): Line {
  return new Map([...line].map(([at, value]) => [at, value * factor]));
}

/** The starts of all windows that touch the time, at multiples of `step` as the API has them. */
export function windows(from: number, to: number, step: number): number[] {
  const times: number[] = [];
  for (let at = Math.floor(from / step) * step; at < to; at += step) times.push(at);
  return times;
}

/** One value for each window; null where nothing is known. */
export function aligned(line: Line, times: number[]): (number | null)[] {
  return times.map((at) => line.get(at) ?? null);
}

/** The mean of what is known in `[from, to)`; undefined where nothing is. */
export function mean(line: Line, from: number, to: number): number | undefined {
  let sum = 0;
  let known = 0;
  for (const [at, value] of line) {
    if (at < from || at >= to) continue;
    sum += value;
    known += 1;
  }
  return known > 0 ? sum / known : undefined;
}

/** The sum of what is known in `[from, to)`. */
export function sumOf(line: Line, from: number, to: number): number {
  let sum = 0;
  for (const [at, value] of line) if (at >= from && at < to) sum += value;
  return sum;
}

export function known(values: (number | null)[]): number[] {
  return values.filter((value): value is number => value !== null);
}

/** A round number at or above `value`: 1, 2 or 5 times a power of ten. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const first = [1, 2, 5, 10].find((factor) => factor * power >= value * 0.999);
  return (first ?? 10) * power;
}

/** A matcher of label values, any of them: for `label=~"…"`. */
export function anyOf(values: string[]): string {
  return values.map((value) => value.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&')).join('|');
}

/** `metric{label="value",…}` as the API reads it; a label that ends in `~` is a regex. */
export function selector(metric: string, labels: Record<string, string>): string {
  const quoted = (text: string) => `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"')}"`;
  const matchers = Object.entries(labels).map(([label, value]) =>
    label.endsWith('~')
      ? `${quoted(label.slice(0, -1))}=~${quoted(value)}`
      : `${quoted(label)}=${quoted(value)}`,
  );
  return `${metric}{${matchers.join(',')}}`;
}

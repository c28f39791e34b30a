// Times: RFC 3339 in, clocks and ages out; and the time range that the URL carries.

/** Milliseconds since 1970 of an RFC 3339 text. */
export function millis(time: string): number {
  return Date.parse(time);
}

/** `02:51:20`, in UTC or local time. */
export function clock(time: string | number, utc = true): string {
  const date = new Date(time);
  return utc
    ? date.toISOString().slice(11, 19)
    : date.toLocaleTimeString('en-GB', { hour12: false });
}

/** The day where it is not today's: `28 Nov 02:51:20`. */
export function clockWithDay(time: string | number, now: number): string {
  const date = new Date(time);
  if (date.toISOString().slice(0, 10) === new Date(now).toISOString().slice(0, 10))
    return clock(time);
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
  return `${day} ${clock(time)}`;
}

/** From when to when: a duration before now that moves with it, or two fixed times (milliseconds). */
export type Range = { last: string } | { from: number; to: number };

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Seconds of `15m`, `1h`, `7d`; null where it is not one. */
export function parseSpan(text: string): number | null {
  const found = /^(\d+)(s|m|h|d)$/.exec(text);
  if (found === null) return null;
  const seconds = Number(found[1]) * SECONDS[found[2]!]!;
  return seconds > 0 ? seconds : null;
}

/** The span as the API and the URL write it: whole units, the largest that fits. */
export function spanText(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  for (const unit of ['d', 'h', 'm'] as const) {
    if (whole % SECONDS[unit]! === 0) return `${whole / SECONDS[unit]!}${unit}`;
  }
  return `${whole}s`;
}

export const DEFAULT_SPAN = '1h';

/** What `?last=` or `?from=&to=` say; the last hour where they say nothing that makes sense. */
export function rangeOf(query: URLSearchParams): Range {
  const from = Date.parse(query.get('from') ?? '');
  const to = Date.parse(query.get('to') ?? '');
  if (from < to) return { from, to };
  const last = query.get('last') ?? '';
  return { last: parseSpan(last) === null ? DEFAULT_SPAN : last };
}

/** The query parameters of a range; the default needs none. */
export function rangeQuery(range: Range): Record<string, string | undefined> {
  if ('last' in range) {
    return {
      last: range.last === DEFAULT_SPAN ? undefined : range.last,
      from: undefined,
      to: undefined,
    };
  }
  return { last: undefined, from: iso(range.from), to: iso(range.to) };
}

/** `from` and `to` as the API takes them. */
export function apiRange(range: Range): { from: string; to?: string } {
  return 'last' in range ? { from: range.last } : { from: iso(range.from), to: iso(range.to) };
}

export function iso(time: number): string {
  return new Date(time).toISOString();
}

/** The two ends in milliseconds. */
export function bounds(range: Range, now: number): [number, number] {
  if ('from' in range) return [range.from, range.to];
  return [now - parseSpan(range.last)! * 1000, now];
}

/** Moved by half of its length: `-1` earlier, `1` later. A range that would reach beyond now follows it. */
export function shifted(range: Range, direction: -1 | 1, now: number): Range {
  const [from, to] = bounds(range, now);
  const step = ((to - from) / 2) * direction;
  if (to + step >= now) return 'last' in range ? range : { last: spanText((to - from) / 1000) };
  return { from: from + step, to: to + step };
}

/** Twice as long or half as long, its end (live) or its middle kept. */
export function zoomed(range: Range, factor: 0.5 | 2, now: number): Range {
  const [from, to] = bounds(range, now);
  const length = Math.min(Math.max((to - from) * factor, 10_000), 400 * 86_400_000);
  if ('last' in range) return { last: spanText(length / 1000) };
  const middle = (from + to) / 2;
  return { from: middle - length / 2, to: Math.min(middle + length / 2, now) };
}

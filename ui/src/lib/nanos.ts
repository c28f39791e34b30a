// Times to the nanosecond. A number of JavaScript cannot hold them, so those that are compared or
// moved are bigints; what is shown is their distance from a near time, which a number can hold.

/** Nanoseconds since 1970 of an RFC 3339 text in UTC, as the API writes it. */
export function nanosOf(time: string): bigint {
  const [whole, fraction = ''] = time.replace(/Z$/, '').split('.');
  const seconds = Date.parse(`${whole}Z`) / 1_000;
  if (!Number.isFinite(seconds)) return 0n;
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

/** The inverse of `nanosOf`. */
export function rfc3339(nanos: bigint): string {
  const seconds = nanos / 1_000_000_000n;
  const fraction = String(nanos % 1_000_000_000n).padStart(9, '0');
  return `${new Date(Number(seconds) * 1_000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** `time`, moved by `nanos`. */
export function moved(time: string, nanos: bigint): string {
  return rfc3339(nanosOf(time) + nanos);
}

/** `02:51:20.123`, in UTC. */
export function clockMillis(time: string | number): string {
  return new Date(time).toISOString().slice(11, 23);
}

/** `02:51:20.123 456 789` where the text has more than milliseconds. */
export function clockNanos(time: string): string {
  const fraction = (time.split('.')[1] ?? '').replace(/Z$/, '').padEnd(3, '0');
  const groups = fraction.match(/\d{1,3}/g) ?? [];
  return `${time.slice(11, 19)}.${groups.join('\u202f')}`;
}

/** A duration as the API takes it: whole milliseconds, rounded up. */
export function millisText(nanos: number): string {
  const millis = Math.max(0, Math.ceil(nanos / 1e6));
  return millis > 0 && millis % 1_000 === 0 ? `${millis / 1_000}s` : `${millis}ms`;
}

/** Nanoseconds of a duration as people write it for the API: `250ms`, `1m30s`; null where it is none. */
export function nanosOfText(text: string): number | null {
  const UNITS: Record<string, number> = { ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12, d: 8.64e13 };
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) return null;
  let nanos = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    nanos += Number(digits) * UNITS[unit!]!;
  return nanos;
}

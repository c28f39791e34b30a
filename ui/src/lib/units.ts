// How values of a metric are read, by its unit as OpenTelemetry writes it (UCUM).

import { bytes, number, short, THIN, took } from './format';

export interface UnitFormat {
  format: (value: number) => string;
  /** Ticks at powers of 1,024. */
  binary: boolean;
}

const SECONDS: Record<string, number> = {
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
  min: 60,
  h: 3_600,
};
const BYTES: Record<string, number> = {
  By: 1,
  KiBy: 2 ** 10,
  MiBy: 2 ** 20,
  GiBy: 2 ** 30,
  kBy: 1e3,
  MBy: 1e6,
  GBy: 1e9,
  bytes: 1,
};

/** `growing`: the values are what came a second. */
export function unitFormat(unit: string, growing = false): UnitFormat {
  const bare = unit.replace(/^\{(.*)\}$/, '$1');
  const after = growing ? '/s' : '';
  if (unit in BYTES)
    return {
      format: (value) => bytes(value * BYTES[unit]!) + after,
      binary: unit === 'By' || unit === 'bytes',
    };
  if (unit in SECONDS && !growing)
    return { format: (value) => took(value * SECONDS[unit]!), binary: false };
  // Seconds of a processor a second: how many of them.
  if (unit in SECONDS) return { format: (value) => number(value * SECONDS[unit]!), binary: false };
  if (unit === '%') return { format: (value) => `${number(value)}${THIN}%${after}`, binary: false };
  if (unit === '' || unit === '1')
    return { format: (value) => short(value) + after, binary: false };
  const word = bare !== unit ? `${THIN}${bare}` : `${THIN}${unit}`;
  return { format: (value) => short(value) + (growing ? after : word), binary: false };
}

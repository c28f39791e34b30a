// Numbers and times as people read them: at most 3 significant digits, a narrow space that does not break before units,
// a true minus, at most two units in a duration. Absent is `–`, zero is `0`.

export const THIN = '\u202f';
export const ABSENT = '–';

type Maybe = number | null | undefined;

function present(value: Maybe): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/** Commas between thousands. By hand: the browser's own formatting takes 20 ms when it is first used. */
function thousands(digits: string): string {
  const [whole, rest] = digits.split('.');
  const parted = whole!.replace(/\B(?=(\d{3})+$)/g, ',');
  return rest === undefined ? parted : `${parted}.${rest}`;
}

/** So many digits after the point, with commas between thousands. */
export function fixed(value: number, digits: number): string {
  return `${value < 0 ? '−' : ''}${thousands(Math.abs(value).toFixed(digits))}`;
}

/** 3 significant digits, thousands with a comma: `1,351`, `0.0213`, `9.6`. */
export function number(value: Maybe): string {
  if (!present(value)) return ABSENT;
  if (value === 0) return '0';
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(size)));
  const exact = size.toFixed(Math.min(digits, 12));
  const text = exact.includes('.') ? exact.replace(/\.?0+$/, '') : exact;
  return value < 0 && text !== '0' ? `−${thousands(text)}` : thousands(text);
}

/** Whole things: `12,345`. */
export function count(value: Maybe): string {
  return present(value) ? fixed(Math.round(value), 0) : ABSENT;
}

/** Large amounts short: `41.2 k`, `3.1 M`. */
export function short(value: Maybe): string {
  if (!present(value)) return ABSENT;
  const size = Math.abs(value);
  if (size < 10_000) return number(value);
  const [divisor, suffix] = size < 1e6 ? [1e3, 'k'] : size < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  return `${number(value / divisor)}${THIN}${suffix}`;
}

/** A share (0 to 1) in per cent; near 0 and 1 it keeps the digits that matter: `99.98 %`. */
export function percent(share: Maybe): string {
  if (!present(share)) return ABSENT;
  const value = share * 100;
  if (value > 99 && value < 100) {
    const digits = value > 99.99 ? 3 : 2;
    return `${Math.min(value, 100 - 10 ** -digits)
      .toFixed(digits)
      .replace(/0+$/, '')
      .replace(/\.$/, '')}${THIN}%`;
  }
  if (value > 0 && value < 0.001) return `<0.001${THIN}%`;
  return `${number(Number(value.toPrecision(value < 10 ? 2 : 3)))}${THIN}%`;
}

/** A rate a second: `38/s`. */
export function rate(value: Maybe): string {
  return present(value) ? `${short(value)}/s` : ABSENT;
}

/** A time that something took, from seconds: `688 ms`, `1.4 s`, `6 min 10 s`. */
export function took(seconds: Maybe): string {
  if (!present(seconds)) return ABSENT;
  if (seconds < 0) return `−${took(-seconds)}`;
  if (seconds === 0) return `0${THIN}s`;
  if (seconds < 0.001) return `${number(seconds * 1e6)}${THIN}µs`;
  if (seconds < 0.9995) return `${number(seconds * 1e3)}${THIN}ms`;
  if (seconds < 60) return `${number(seconds)}${THIN}s`;
  return duration(seconds);
}

const UNITS: [number, string][] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
];

/** A duration in whole units, two at most: `9 d 4 h`, `6 min 10 s`, `0 s`. */
export function duration(seconds: Maybe): string {
  if (!present(seconds)) return ABSENT;
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [size, unit] of UNITS) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0) parts.push(`${whole}${THIN}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ') || `0${THIN}s`;
}

/** Bytes in binary units: `34 MiB`. */
export function bytes(value: Maybe): string {
  if (!present(value)) return ABSENT;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${value < 0 ? '−' : ''}${number(size)}${THIN}${units[unit]}`;
}

/** `1 service`, `2 services`, `3 entries` where `many` says so. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `a`, `a and b`, `a, b and c`, `a, b and 3 more`. */
export function listed(names: string[], most = 3): string {
  const shown = names.length > most ? names.slice(0, most - 1) : names;
  const parts =
    shown.length < names.length ? [...shown, `${names.length - shown.length} more`] : shown;
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

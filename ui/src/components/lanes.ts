// What `Lanes` draws: lines that share one time axis, and what happened on it.

export interface LaneLine {
  name: string;
  /** One for each time of the axis; null where nothing is known. */
  values: (number | null)[];
  tone: 's1' | 's2' | 's3' | 's4' | 's6' | 'bad';
  area?: boolean;
}

export interface Lane {
  id: string;
  title: string;
  about: string;
  lines: LaneLine[];
  /** Counts as bars instead of lines. */
  bars?: boolean;
  low: number;
  high: number;
  format: (value: number) => string;
  /** Drawn as a dash; beyond it the first line turns red. */
  limit?: { at: number; bad: 'above' | 'below' };
  /** The figure now, or while it lasted, and what it was before. */
  now: string;
  was: string;
  bad?: boolean;
  /** Looked at and unchanged: small and grey. */
  ruledOut?: boolean;
  /** Where a click leads, for a time of the axis. */
  link?: (from: number, to: number) => string;
}

export interface Marker {
  at: number;
  label: string;
  kind: 'change' | 'action';
  /** Solid where it is blamed, dashed where not. */
  blamed: boolean;
}

export interface TimeWindow {
  from: number;
  to: number;
  label: string;
}

/** About so many round times for the axis, between the two. */
export function ticks(from: number, to: number, wanted = 5): number[] {
  const steps = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];
  const seconds = (to - from) / 1000;
  const step = (steps.find((one) => seconds / one <= wanted) ?? 7 * 86_400) * 1000;
  const found: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}

export interface Size {
  width: number;
  height: number;
  low: number;
  high: number;
}

function at(index: number, count: number, width: number): number {
  return count < 2 ? width : (index / (count - 1)) * width;
}

function height(value: number, { height, low, high }: Size): number {
  if (high <= low) return height / 2;
  const share = (Math.min(high, Math.max(low, value)) - low) / (high - low);
  return height - 1 - share * (height - 2);
}

/** The path of a line; gaps stay gaps, and a point alone is a short dash. */
export function linePath(
  values: (number | null)[],
  size: Size,
  only: (value: number, index: number) => boolean = () => true,
): string {
  let path = '';
  let open = false;
  values.forEach((value, index) => {
    if (value === null) {
      open = false;
      return;
    }
    const x = at(index, values.length, size.width);
    const y = height(value, size).toFixed(1);
    const before = values[index - 1];
    if (!only(value, index) && !(typeof before === 'number' && only(before, index - 1))) {
      open = false;
      return;
    }
    const alone = values[index + 1] === null || index === values.length - 1;
    if (!open && alone) path += `M${(x - 2).toFixed(1)} ${y}h4`;
    else path += `${open ? 'L' : 'M'}${x.toFixed(1)} ${y}`;
    open = true;
  });
  return path;
}

/** The area between a line and a level, for each run of known values. */
export function areaPath(values: (number | null)[], size: Size, level: number): string {
  let path = '';
  let run: string[] = [];
  let first = 0;
  const base = height(level, size).toFixed(1);
  const close = (last: number) => {
    if (run.length > 1) {
      const [begin, end] = [first, last].map((index) => at(index, values.length, size.width));
      path += `M${begin!.toFixed(1)} ${base}L${run.join('L')}L${end!.toFixed(1)} ${base}Z`;
    }
    run = [];
  };
  values.forEach((value, index) => {
    if (value === null) return close(index - 1);
    if (run.length === 0) first = index;
    run.push(
      `${at(index, values.length, size.width).toFixed(1)} ${height(value, size).toFixed(1)}`,
    );
  });
  close(values.length - 1);
  return path;
}

/** Bars from the floor, one for each window. */
export function barsPath(values: (number | null)[], size: Size): string {
  const wide = size.width / Math.max(1, values.length);
  let path = '';
  values.forEach((value, index) => {
    if (value === null || value <= 0) return;
    const y = Math.min(height(value, size), size.height - 2);
    const x = Math.min(
      size.width - wide,
      Math.max(0, at(index, values.length, size.width) - wide / 2),
    );
    path += `M${(x + wide * 0.1).toFixed(1)} ${size.height}V${y.toFixed(1)}h${(wide * 0.8).toFixed(1)}V${size.height}Z`;
  });
  return path;
}

export interface Placed {
  marker: Marker;
  x: number;
  row: number;
  side: 'left' | 'right';
  /** There is room for its words. */
  worded: boolean;
}

const CHAR_PX = 5.6;
const LABEL_ROWS = 3;

/** Where the words of markers go so that none lies on another; those that are blamed come first. */
export function placed(
  markers: Marker[],
  from: number,
  to: number,
  width: number,
  /** What is taken of the lowest row already. */
  taken: [row: number, left: number, right: number][] = [],
): Placed[] {
  const order = [...markers].sort((a, b) => Number(b.blamed) - Number(a.blamed) || b.at - a.at);
  const found = order.map((marker): Placed => {
    const x = ((marker.at - from) / (to - from)) * width;
    const length = marker.label.length * CHAR_PX + 12;
    for (let row = 0; row < LABEL_ROWS; row += 1) {
      for (const side of ['left', 'right'] as const) {
        const [left, right] = side === 'left' ? [x - length, x] : [x, x + length];
        const free = taken.every(([r, l, end]) => r !== row || right < l || left > end);
        if (left < -40 || right > width + 40 || !free) continue;
        taken.push([row, left, right]);
        return { marker, x, row, side, worded: true };
      }
    }
    return { marker, x, row: 0, side: 'left', worded: false };
  });
  return found.sort((a, b) => a.x - b.x);
}

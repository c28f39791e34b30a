// Where moments stand on an axis, and in which row the words of each, so that none cover others.

export interface Moment {
  /** Milliseconds since 1970. */
  at: number;
  label: string;
}

export interface Placed<M> {
  moment: M;
  /** 0 to 1. */
  left: number;
  /** From the top. */
  row: number;
  /** Its words stand left of it. */
  leftwards: boolean;
}

/** About what a letter of small text takes. */
const LETTER_PX = 6.2;
const SPARE_PX = 22;

/** Each in the first row where its words have room; `width` of the axis in pixels. */
export function placed<M extends Moment>(
  moments: M[],
  from: number,
  to: number,
  width: number,
): Placed<M>[] {
  const length = Math.max(1, to - from);
  const taken: number[] = [];
  return moments
    .toSorted((a, b) => a.at - b.at)
    .map((moment) => {
      const left = Math.min(1, Math.max(0, (moment.at - from) / length));
      const words = moment.label.length * LETTER_PX + SPARE_PX;
      const leftwards = left * width + words > width && left > 0.5;
      const begin = left * width - (leftwards ? words : 0);
      const found = taken.findIndex((until) => until <= begin);
      const row = found < 0 ? taken.length : found;
      taken[row] = begin + words;
      return { moment, left, row, leftwards };
    });
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];

/** Seconds from zero on at which a tick stands: at most `most` of them, on round numbers. */
export function ticksBetween(fromS: number, toS: number, most: number): number[] {
  const length = toS - fromS;
  const step = STEPS_S.find((one) => length / one <= most) ?? Math.ceil(length / most);
  const ticks: number[] = [];
  for (let at = Math.ceil(fromS / step) * step; at <= toS; at += step) ticks.push(at);
  return ticks;
}

// The time axis of a histogram: ticks at round times, where a selection begins and ends.

const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
  172_800, 604_800, 2_592_000,
];

/** Round times (milliseconds, UTC) within a range, at most `most`; none where it is under a second. */
export function timeTicks(from: number, to: number, most: number): number[] {
  const rough = (to - from) / 1_000 / Math.max(1, most);
  const step = (STEPS_S.find((one) => one >= rough) ?? STEPS_S.at(-1)!) * 1_000;
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return ticks.length > most + 1 ? [] : ticks;
}

/** How a tick is written: a day where the range has several, seconds only where they differ. */
export function tickLabel(at: number, from: number, to: number): string {
  const time = new Date(at).toISOString();
  const length = to - from;
  if (length > 3 * 86_400_000) {
    return new Date(at).toLocaleDateString('en-GB', {
      day: 'numeric',
      month: 'short',
      timeZone: 'UTC',
    });
  }
  return length < 300_000 ? time.slice(11, 19) : time.slice(11, 16);
}

/** A round number that is not below `value`: the top of a count's axis. */
export function roundTop(value: number): number {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((one) => one * power).find((one) => one >= value)!;
}

export interface Bin {
  start: number;
  end: number;
}

/** The time from one bin to another (either first), both included. */
export function spanned(bins: Bin[], one: number, other: number): [number, number] {
  const [first, last] = one <= other ? [one, other] : [other, one];
  return [bins[first]!.start, bins[last]!.end];
}

/** A step for about `most` windows over a range: round milliseconds or a round time. */
export function stepMillis(from: number, to: number, most: number): number {
  const rough = Math.max(1, (to - from) / most);
  if (rough >= 1_000)
    return (STEPS_S.find((one) => one * 1_000 >= rough) ?? STEPS_S.at(-1)!) * 1_000;
  return Math.ceil(roundTop(rough));
}

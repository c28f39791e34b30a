// What differs between two sides, largest first: the measure of the Compare page.
//
// Judged are, of the whole and of each part: the share that fails, how long it takes, and how much
// it is asked for. A difference has to be large enough to matter and beyond chance:
// - failing: one share is 1.5 times the other (a failure in 1,000 is taken for none), and two
//   proportions lie 4 standard deviations apart; below 100 requests on a side nothing is said.
// - durations: the medians of the windows' p50 or p95 lie 1.3 times and 5 ms apart, and so do their
//   ranks by 3 standard deviations (Mann and Whitney, 1947). Windows that are too few for that even
//   if all of one side lay above all of the other are too few to judge.
// - traffic: the same with 1.3 times. Of parts it is their share of the requests of the whole, of
//   calls how many a request makes, so that a busier hour does not change every row. What was never
//   asked for on one side is new or gone where 10 requests would have been expected.
// Its size: how many doublings apart (small values are held up by a floor), times how much it
// matters (failing 4, durations 2, traffic 1), times the root of the share of requests it reaches.
// A part that differs as the whole does, within 1.5 times, is told with the whole.

import { median } from './chart';
import { JUDGED_FROM } from './differs';
import { share as shareOfWindows, type Line } from './points';

export type SubjectKind =
  'service' | 'operation' | 'instance' | 'version' | 'call' | 'caller' | 'lines';

export interface Subject {
  kind: SubjectKind;
  service: string;
  /** Told where several are compared at once. */
  environment?: string;
  /** Of the part; of a call the callee, of a caller the caller. */
  name: string;
}

export interface Part {
  subject: Subject;
  /** Counts of windows: requests, or log lines. */
  requests: Line;
  errors: Line;
  /** Seconds, of windows. */
  p50: Line;
  p95: Line;
  /** Of the requests that its own are counted against; absent: against time. Its own key: its
   *  traffic is not judged. */
  base?: string;
}

export interface Side {
  /** Of a window. */
  step_s: number;
  /** Starts of the windows in which anything was told: all others are not known. */
  heard: number[];
  /** By key, absent on a side that has none. */
  parts: Map<string, Part>;
  bases: Map<string, Line>;
}

export type Aspect = 'fails' | 'p50' | 'p95' | 'traffic';
export type Verdict = 'more' | 'less' | 'new' | 'gone' | 'alike' | 'same' | 'few';

/** Null where nothing is known. */
type Shape = (number | null)[];

export interface Finding {
  key: string;
  subject: Subject;
  aspect: Aspect;
  /** Share, seconds, rate, or part of the base; null where there is none. */
  a: number | null;
  b: number | null;
  verdict: Verdict;
  size: number;
  /** On each side, or log lines. */
  requests: [number, number];
  /** Traffic is counted against requests, not against time. */
  relative: boolean;
  /** Values of the windows of each side. */
  shapes: [Shape, Shape];
}

const FAILING_TIMES = 1.5;
const FAILING_DEVIATIONS = 4;
const TIMES = 1.3;
const SLOWER_BY_SECONDS = 0.005;
const RANK_DEVIATIONS = 3;
const EXPECTED = 10;
const ALIKE_DOUBLINGS = Math.log2(1.5);

const WEIGHTS: Record<Aspect, number> = { fails: 4, p50: 2, p95: 2, traffic: 1 };
const FLOORS: Record<Aspect, number> = { fails: 0.001, p50: 0.005, p95: 0.005, traffic: 0.01 };
/** Lines a second. */
const LINES_FLOOR = 1 / 60;

const sum = (values: Iterable<number>) => [...values].reduce((total, one) => total + one, 0);

/** Standard deviations by which the ranks of `b` lie above those of `a`; ties share their rank. */
export function rankDeviations(a: number[], b: number[]): number {
  const all = [...a.map((value) => [value, 0]), ...b.map((value) => [value, 1])] as const;
  const sorted = all.toSorted(([one], [other]) => one! - other!);
  const total = sorted.length;
  let [ranks, ties] = [0, 0];
  for (let at = 0; at < total;) {
    let end = at;
    while (end < total && sorted[end]![0] === sorted[at]![0]) end += 1;
    const equal = sorted.slice(at, end);
    ranks += equal.filter(([, side]) => side === 1).length * ((at + end + 1) / 2);
    ties += (end - at) ** 3 - (end - at);
    at = end;
  }
  const pairs = a.length * b.length;
  const above = ranks - (b.length * (b.length + 1)) / 2;
  const variance = (pairs / 12) * (total + 1 - ties / (total * (total - 1)));
  return variance > 0 ? (above - pairs / 2) / Math.sqrt(variance) : 0;
}

/** Could so many windows tell a difference at all? */
export function areEnough(a: number, b: number): boolean {
  return a * b > 0 && Math.sqrt((3 * a * b) / (a + b + 1)) >= RANK_DEVIATIONS;
}

/** All that was judged, largest first; then what is the same or too few, by name. */
export function differences(a: Side, b: Side, whole?: string): Finding[] {
  const keys = new Set([...a.parts.keys(), ...b.parts.keys()]);
  const most = Math.max(
    1,
    ...[a, b].flatMap((side) => [...side.bases.values()].map((line) => sum(line.values()))),
  );
  const found = [...keys].flatMap((key) => {
    const [one, other] = [a.parts.get(key), b.parts.get(key)];
    const { subject } = (one ?? other)!;
    const requests: [number, number] = [countOf(one), countOf(other)];
    const reach = Math.max(reachOf(a, one, most), reachOf(b, other, most));
    const asked = (one ?? other)!.base === key ? null : traffic(a, one, b, other);
    return [asked, fails(a, one, b, other), durations(a, one, b, other)].flatMap((finding) =>
      finding ? [{ ...finding, key: `${key}\n${finding.aspect}`, subject, requests, reach }] : [],
    );
  });
  const sized = found.map(({ reach, ...finding }): Finding => {
    const { subject, aspect, verdict } = finding;
    const isTold = verdict !== 'same' && verdict !== 'few';
    const size = Math.abs(doublings(finding)) * WEIGHTS[aspect] * Math.sqrt(reach);
    return { ...finding, subject, size: isTold ? size : 0 };
  });
  for (const finding of sized) if (isAsWhole(finding, sized, whole)) finding.verdict = 'alike';
  const name = ({ subject }: Finding) => `${subject.service} ${subject.name}`;
  return sized.toSorted((x, y) => y.size - x.size || name(x).localeCompare(name(y)));
}

type Judged = Omit<Finding, 'key' | 'subject' | 'requests' | 'size'>;

function doublings({ subject, aspect, a, b }: Pick<Finding, 'subject' | 'aspect' | 'a' | 'b'>) {
  const floor = subject.kind === 'lines' ? LINES_FLOOR : FLOORS[aspect];
  return Math.log2(((b ?? 0) + floor) / ((a ?? 0) + floor));
}

/** Parts that share the fate of the whole: nothing is to be learned from each. */
function isAsWhole(finding: Finding, all: Finding[], whole?: string): boolean {
  const { subject, aspect, size } = finding;
  if (size === 0 || whole === undefined || aspect === 'traffic') return false;
  if (!['operation', 'instance', 'version', 'caller'].includes(subject.kind)) return false;
  const of = all.find((one) => one.key === `${whole}\n${aspect}` && one.size > 0);
  return of !== undefined && Math.abs(doublings(finding) - doublings(of)) <= ALIKE_DOUBLINGS;
}

function countOf(part: Part | undefined): number {
  return part ? sum(part.requests.values()) : 0;
}

function reachOf(side: Side, part: Part | undefined, most: number): number {
  if (!part || part.subject.kind === 'lines') return part ? 1 : 0;
  const base = part.base === undefined ? most : sum(side.bases.get(part.base)?.values() ?? []);
  return Math.min(1, countOf(part) / Math.max(1, base));
}

function fails(a: Side, one: Part | undefined, b: Side, other: Part | undefined): Judged | null {
  if (!one || !other || one.subject.kind === 'lines') return null;
  const [n, m] = [countOf(one), countOf(other)];
  if (n === 0 || m === 0) return null;
  const share = Math.min(1, sum(one.errors.values()) / n);
  const shareToo = Math.min(1, sum(other.errors.values()) / m);
  const both = (share * n + shareToo * m) / (n + m);
  const spread = Math.sqrt(both * (1 - both) * (1 / n + 1 / m));
  const [low, high] = [Math.min(share, shareToo), Math.max(share, shareToo)];
  const matters = high + FLOORS.fails >= FAILING_TIMES * (low + FLOORS.fails);
  const isMore = high - low > FAILING_DEVIATIONS * spread;
  const few = n < JUDGED_FROM || m < JUDGED_FROM;
  const verdict = few ? 'few' : matters && isMore ? word(share, shareToo) : 'same';
  const over = (side: Side, part: Part) =>
    overTime(shareOfWindows(part.errors, part.requests), side);
  const shapes: [Shape, Shape] = [over(a, one), over(b, other)];
  return { aspect: 'fails', a: share, b: shareToo, verdict, relative: false, shapes };
}

/** The p95, unless the p50 alone differs, or more. */
function durations(
  a: Side,
  one: Part | undefined,
  b: Side,
  other: Part | undefined,
): Judged | null {
  if (!one || !other) return null;
  const [p95, p50] = [duration('p95', a, one, b, other), duration('p50', a, one, b, other)];
  const told = (judged: Judged | null) => judged?.verdict === 'more' || judged?.verdict === 'less';
  const times = (judged: Judged) => Math.abs(Math.log2(judged.b! / judged.a!));
  return told(p50) && !(told(p95) && times(p95!) >= times(p50!)) ? p50 : p95;
}

function duration(aspect: 'p50' | 'p95', a: Side, one: Part, b: Side, other: Part): Judged | null {
  const [before, after] = [[...one[aspect].values()], [...other[aspect].values()]];
  const [low, high] = [median(before), median(after)];
  if (low === undefined || high === undefined) return null;
  const verdict = Math.abs(high - low) < SLOWER_BY_SECONDS ? 'same' : judged(before, after);
  const shapes: [Shape, Shape] = [overTime(one[aspect], a), overTime(other[aspect], b)];
  return { aspect, a: low, b: high, verdict, relative: false, shapes };
}

/** By the ranks of the windows, and by how far their medians lie apart. */
function judged(before: number[], after: number[], values?: [number, number]): Verdict {
  if (!areEnough(before.length, after.length)) return 'few';
  const [low, high] = values ?? [median(before)!, median(after)!];
  const matters = Math.max(low, high) >= TIMES * Math.min(low, high);
  const isBeyond = Math.abs(rankDeviations(before, after)) >= RANK_DEVIATIONS;
  return matters && isBeyond ? word(low, high) : 'same';
}

const word = (a: number, b: number): Verdict => (b > a ? 'more' : 'less');

function overTime(line: Line, { heard }: Side): Shape {
  return heard.map((at) => line.get(at) ?? null);
}

interface Traffic {
  /** Against requests of the base, or seconds. */
  value: number;
  exposure: number;
  windows: Shape;
}

function trafficOf(side: Side, part: Part | undefined, base: string | undefined): Traffic {
  const whole = base === undefined ? undefined : side.bases.get(base);
  const per = (at: number) => (base === undefined ? side.step_s : (whole?.get(at) ?? 0));
  const count = (at: number) => part?.requests.get(at) ?? 0;
  const exposure = sum(side.heard.map(per));
  return {
    value: exposure > 0 ? sum(side.heard.map(count)) / exposure : 0,
    exposure,
    windows: side.heard.map((at) => (per(at) > 0 ? count(at) / per(at) : null)),
  };
}

function traffic(a: Side, one: Part | undefined, b: Side, other: Part | undefined): Judged | null {
  const { base } = (one ?? other)!;
  const [before, after] = [trafficOf(a, one, base), trafficOf(b, other, base)];
  if (before.exposure === 0 || after.exposure === 0) return null;
  const known = (windows: Shape) => windows.filter((value) => value !== null);
  const values: [number, number] = [before.value, after.value];
  let verdict = judged(known(before.windows), known(after.windows), values);
  if (values.includes(0)) {
    const isNew = before.value === 0;
    const expected = isNew ? after.value * before.exposure : before.value * after.exposure;
    verdict = expected < EXPECTED ? 'few' : isNew ? 'new' : 'gone';
  }
  return {
    aspect: 'traffic',
    a: before.value,
    b: after.value,
    verdict,
    relative: base !== undefined,
    shapes: [before.windows, after.windows],
  };
}

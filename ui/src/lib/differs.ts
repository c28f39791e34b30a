// What about one service differs, by version, instance and operation: the sentence of its page.
//
// A part stands out in failing when it fails at least 3 times as often as the rest of its kind and
// chance does not explain it (two proportions, 4 standard deviations); in being slow when its p95 is
// at least twice the median of the others and 50 ms more. Below 100 requests nothing is said.

import type { ServiceDetail } from '../api/schema';
import { median } from './chart';
import { duration, listed, percent, plural, rate, took } from './format';

/** Fewer requests than these are too few to judge. */
export const JUDGED_FROM = 100;
const TIMES_WORSE = 3;
const DEVIATIONS = 4;
const TIMES_SLOWER = 2;
const SLOWER_BY_SECONDS = 0.05;
/** Without an objective: a service that fails less than this does not lead with it. */
const FAILS_FROM = 0.005;
const HEADLINE_MAX = 90;
const NEARLY_ALL = 0.98;

export interface Part {
  name: string;
  requests: number;
  error_ratio?: number | null;
  p95_seconds?: number | null;
}

const failedOf = (part: Part) => part.requests * (part.error_ratio ?? 0);
const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** Does `part` fail more often than `others` do, beyond chance? */
function failsMore(part: Part, others: Part[]): boolean {
  const [n, m] = [part.requests, sum(others.map((other) => other.requests))];
  if (n < JUDGED_FROM || m <= 0) return false;
  const [bad, badToo] = [failedOf(part), sum(others.map(failedOf))];
  const [share, shareToo] = [bad / n, badToo / m];
  const both = (bad + badToo) / (n + m);
  const spread = Math.sqrt(both * (1 - both) * (1 / n + 1 / m));
  return share >= TIMES_WORSE * shareToo && share - shareToo > DEVIATIONS * spread;
}

/** A failure in so many is taken for none where shares are compared as such. */
const AS_GOOD_AS_NONE = 0.001;

/** Those that fail unlike the rest of their kind, the worst first. */
export function failing(parts: Part[]): Part[] {
  const worst = parts
    .filter((part) => part.requests >= JUDGED_FROM)
    .sort((a, b) => (b.error_ratio ?? 0) - (a.error_ratio ?? 0));
  const share = (part?: Part) => (part?.error_ratio ?? 0) + AS_GOOD_AS_NONE;
  // Where shares fall most steeply, the odd ones end.
  let odd: Part[] = [];
  let steepest = 0;
  for (let end = 1; end <= worst.length && end < parts.length; end += 1) {
    const group = worst.slice(0, end);
    const rest = parts.filter((part) => !group.includes(part));
    const fall = share(worst[end - 1]) / share(worst[end]);
    if (fall <= steepest || !group.every((part) => failsMore(part, rest))) continue;
    [odd, steepest] = [group, fall];
  }
  return odd;
}

/** Those much slower than the rest of their kind, the slowest first. */
export function slow(parts: Part[]): Part[] {
  const judged = parts.filter((part) => part.requests >= JUDGED_FROM && part.p95_seconds != null);
  const isSlow = (part: Part) => {
    const others = judged.filter((other) => other !== part);
    const usual = median(others.map((other) => other.p95_seconds!));
    const own = part.p95_seconds!;
    return usual !== undefined && own >= TIMES_SLOWER * usual && own - usual >= SLOWER_BY_SECONDS;
  };
  return judged.filter(isSlow).sort((a, b) => b.p95_seconds! - a.p95_seconds!);
}

export interface Kinds {
  versions: Part[];
  instances: Part[];
  operations: Part[];
}

export function kindsOf(detail: ServiceDetail): Kinds {
  const named = <T extends Omit<Part, 'name'>>(list: T[], name: (one: T) => string): Part[] =>
    list.map((one) => ({ ...one, name: name(one) })).filter((part) => part.name !== '');
  return {
    versions: named(detail.versions, (one) => one.version),
    instances: named(detail.instances, (one) => one.instance),
    operations: named(detail.operations, (one) => one.operation),
  };
}

const ON: Record<keyof Kinds, string> = { versions: 'on', instances: 'on', operations: 'in' };

/** "all of them on 2.14.0", "90 % of them in 2 operations" where names need more than `room`. */
function where(kinds: Kinds, of: keyof Kinds, room: number): string | undefined {
  const odd = failing(kinds[of]);
  if (odd.length === 0) return undefined;
  const all = sum(kinds[of].map(failedOf));
  const theirs = sum(odd.map(failedOf)) / all;
  const much = theirs >= NEARLY_ALL ? 'all of them' : `${percent(theirs)} of them`;
  const named = `${much} ${ON[of]} ${listed(odd.map((part) => part.name))}`;
  if (named.length <= room) return named;
  return `${much} ${ON[of]} ${plural(odd.length, of.slice(0, -1))}`;
}

export interface Said {
  headline: string;
  /** Sentences under it. */
  more: string[];
}

/** What about it differs, worst first; `now` in milliseconds. */
export function differs(detail: ServiceDetail, now: number): Said {
  const { service } = detail;
  const { name } = service.entity;
  const kinds = kindsOf(detail);
  const more = rest(detail, kinds, now);
  if (service.state === 'no_data') {
    const since = service.since ?? service.last_seen;
    const long = since ? ` for ${duration((now - Date.parse(since)) / 1_000)}` : '';
    return { headline: `${name} has told nothing${long}`, more };
  }
  const allowed = allowedOf(detail) ?? FAILS_FROM;
  const ofs = ['versions', 'instances', 'operations'] as const;
  if ((service.error_ratio ?? 0) >= allowed && service.requests >= JUDGED_FROM) {
    const fails = `${name} fails ${percent(service.error_ratio)} of its requests`;
    const room = HEADLINE_MAX - fails.length - 2;
    const place = ofs.map((of) => where(kinds, of, room)).find((text) => text !== undefined);
    return { headline: place ? `${fails}, ${place}` : fails, more };
  }
  // A part that fails matters though the whole does not show it.
  const hidden = ofs.flatMap((of) => failing(kinds[of]));
  const worst = hidden.find((part) => (part.error_ratio ?? 0) >= allowed);
  if (worst)
    return {
      headline: `${name} fails little, but ${worst.name} fails ${percent(worst.error_ratio)}`,
      more,
    };
  const laggard = (['versions', 'instances'] as const).flatMap((of) => slow(kinds[of]))[0];
  if (laggard)
    return {
      headline: `${name} is slow on ${laggard.name}: p95 ${took(laggard.p95_seconds)}`,
      more,
    };
  return { headline: usual(detail), more };
}

/** The share that may fail by the objective of the whole. */
function allowedOf({ service, objectives }: ServiceDetail): number | undefined {
  const whole = objectives.find(
    ({ kind, entity }) => kind === 'availability_burn' && entity.kind === service.entity.kind,
  );
  return whole && 1 - whole.objective;
}

/** Where no part stands out. */
function usual(detail: ServiceDetail): string {
  const { service } = detail;
  const { name } = service.entity;
  const p95 = `p95 ${took(service.p95_seconds)}`;
  switch (service.state) {
    case 'no_traffic':
      return `${name} is asked for nothing`;
    case 'learning':
      return `Learning what is normal for ${name}`;
    case 'hurt':
      return `Users of ${name} are hurt; ${p95}`;
    case 'at_risk':
      return `${name} is at risk; ${p95}`;
    case 'healing':
      return `${name} is well again and watched; ${p95}`;
    default:
      return `${name} is well: ${rate(service.requests_per_s)}, ${percent(service.error_ratio)} fail, ${p95}`;
  }
}

/** What else is worth a sentence. */
function rest(detail: ServiceDetail, kinds: Kinds, now: number): string[] {
  const said: string[] = [];
  const versions = failing(kinds.versions);
  const well = kinds.versions.filter((part) => !versions.includes(part));
  if (versions.length > 0 && well.length > 0) {
    const failed = sum(well.map(failedOf)) / Math.max(1, sum(well.map((part) => part.requests)));
    said.push(
      `${listed(well.map((part) => part.name))} ${well.length > 1 ? 'fail' : 'fails'} ${percent(failed)}.`,
    );
  }
  const operations = failing(kinds.operations);
  if (operations.length > 0 && kinds.operations.length > operations.length)
    said.push(`Of ${kinds.operations.length} operations ${hurt(operations)}.`);
  const silent = detail.instances.filter((one) => one.silent_since);
  if (silent.length > 0 && detail.service.state !== 'no_data') {
    const first = Math.min(...silent.map((one) => Date.parse(one.silent_since!)));
    const names = listed(silent.map((one) => one.instance));
    const long = duration((now - first) / 1_000);
    said.push(`${names} ${silent.length === 1 ? 'has' : 'have'} told nothing for ${long}.`);
  }
  const laggards = slow(kinds.operations);
  if (laggards.length > 0)
    said.push(`Slowest: ${laggards[0]!.name}, p95 ${took(laggards[0]!.p95_seconds)}.`);
  const several = (['operations', 'instances', 'versions'] as const)
    .filter((of) => kinds[of].length > 1)
    .map((of) => plural(kinds[of].length, of.slice(0, -1)));
  if (said.length === 0 && several.length > 0 && detail.service.requests >= JUDGED_FROM)
    said.push(`Nothing stands out among ${listed(several)}.`);
  return said;
}

function hurt(operations: Part[]): string {
  if (operations.length === 1) return `only ${operations[0]!.name} stands out in failing`;
  return `${listed(operations.map((part) => part.name))} stand out in failing`;
}

// The lines of the three charts, whole or by part. At most four: the odd ones and the busiest by
// name, the rest as "all others".

import { toneOf, type Line } from '../../lib/chart';
import { failing, type Kinds } from '../../lib/differs';
import { perSecond, shareOf, sumOf } from '../../lib/red';
import { GONE, merged, type By, type Figures, type Red } from './figures';

const MOST = 4;
export const OTHERS = 'all others';

export interface Lines {
  requests: Line[];
  failed: Line[];
  durations: Line[];
  /** What the durations are. */
  about: string;
}

export function wholeLines({ whole, step }: Red): Lines {
  return {
    requests: [{ name: 'requests', points: perSecond(whole.requests, step) }],
    failed: [{ name: 'failed', points: shareOf(whole.errors, whole.requests), area: true }],
    durations: [
      { name: 'p99', points: whole.p99, tone: 's6' as const },
      { name: 'p95', points: whole.p95, tone: 's1' as const },
      { name: 'p50', points: whole.p50, tone: 's3' as const },
    ].filter((line) => line.points.length > 0),
    about: 'of all requests',
  };
}

export function partLines(
  parts: Map<string, Figures>,
  by: By,
  step: number,
  kinds: Kinds | undefined,
): Lines {
  const odd = by === 'caller' || !kinds ? [] : failing(kinds[`${by}s`]).map((part) => part.name);
  const named = [...parts].sort(
    ([a, one], [b, other]) =>
      Number(odd.includes(b)) - Number(odd.includes(a)) ||
      sumOf(other.requests) - sumOf(one.requests) ||
      a.localeCompare(b),
  );
  const shown = named.length > MOST ? named.slice(0, MOST - 1) : named;
  const rest = named.slice(shown.length).map(([, figures]) => figures);
  // A part keeps its colour while its place in the order of names is the same.
  const isRest = (name: string) => name === OTHERS || name === GONE;
  const order = shown
    .map(([name]) => name)
    .filter((name) => !isRest(name))
    .sort((a, b) => a.localeCompare(b));
  const all: [string, Figures][] = rest.length > 0 ? [...shown, [OTHERS, merged(rest)]] : shown;
  const line = (name: string, points: Line['points']): Line => ({
    name,
    points,
    tone: isRest(name) ? 's6' : toneOf({ name, points }, order.indexOf(name)),
  });
  return {
    requests: all.map(([name, one]) => line(name, perSecond(one.requests, step))),
    failed: all.map(([name, one]) => line(name, shareOf(one.errors, one.requests))),
    durations: all
      .filter(([name, one]) => !isRest(name) && one.p95.length > 0)
      .map(([name, one]) => line(name, one.p95)),
    about: by === 'version' ? 'p95 of the slowest instance of each' : 'p95 of each',
  };
}

// Two versions side by side: what is worse, better or the same.

import type { ServiceDetail, VersionFigures } from '../api/schema';
import { failing, JUDGED_FROM } from './differs';

export type Verdict = 'worse' | 'better' | 'same' | 'too few';

const SLOWER_TIMES = 1.3;
const SLOWER_BY_SECONDS = 0.02;

export interface Pair {
  before: VersionFigures;
  after: VersionFigures;
}

/** When the first of its instances began to run a version; 0 where that is not known. */
export function begunIn({ instances }: ServiceDetail): (version: string) => number {
  return (version) => {
    const begun = instances
      .filter((one) => one.version === version && one.version_since)
      .map((one) => Date.parse(one.version_since!));
    return begun.length > 0 ? Math.min(...begun) : 0;
  };
}

/** The two that most instances run, the one that began later as the second. */
export function pairOf(
  versions: VersionFigures[],
  since: (version: string) => number,
): Pair | undefined {
  const [one, other] = versions
    .filter(({ version }) => version !== '')
    .sort((a, b) => b.instances - a.instances || b.requests - a.requests);
  if (!one || !other) return undefined;
  return since(one.version) <= since(other.version)
    ? { before: one, after: other }
    : { before: other, after: one };
}

function areFew({ before, after }: Pair): boolean {
  return before.requests < JUDGED_FROM || after.requests < JUDGED_FROM;
}

export function failedVerdict(pair: Pair): Verdict {
  if (areFew(pair)) return 'too few';
  const [before, after] = [pair.before, pair.after].map((one) => ({ ...one, name: one.version }));
  const odd = failing([before!, after!])[0];
  if (odd === undefined) return 'same';
  return odd.name === after!.name ? 'worse' : 'better';
}

export function slowVerdict(pair: Pair, of: 'p50_seconds' | 'p95_seconds'): Verdict {
  const [before, after] = [pair.before[of], pair.after[of]];
  if (areFew(pair) || before == null || after == null) return 'too few';
  if (Math.abs(after - before) < SLOWER_BY_SECONDS) return 'same';
  if (after >= before * SLOWER_TIMES) return 'worse';
  return before >= after * SLOWER_TIMES ? 'better' : 'same';
}

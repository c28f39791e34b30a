// Bands of durations for the heat map, and how they are counted from answers of the API, which tell
// how many spans took at least so long.

import type { SpanCount } from '../api/schema';

/** The lower edges, milliseconds; below the first there is one more band. */
export const EDGES_MS = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000] as const;

/** The band's limits as the API takes them; the upper one is exclusive, so a millisecond less. */
export function bandLimits(low: number, high: number): { min?: string; max?: string } {
  const min = low === 0 ? undefined : `${EDGES_MS[low - 1]}ms`;
  const above = EDGES_MS[high];
  // The API's limits are whole milliseconds and inclusive: what took 2.4 ms is within "≤ 3 ms".
  return { min, max: above === undefined ? undefined : `${above}ms` };
}

/** By window, then by band: `atLeast[band]` counts those that took as long as the band's lower edge. */
export function bandCounts(atLeast: SpanCount[][]): number[][] {
  const windows = atLeast[0]?.length ?? 0;
  return Array.from({ length: windows }, (_, window) =>
    Array.from({ length: EDGES_MS.length + 1 }, (_, band) => {
      const here = atLeast[band]?.[window]?.spans ?? 0;
      const above = atLeast[band + 1]?.[window]?.spans ?? 0;
      return Math.max(0, here - above);
    }),
  );
}

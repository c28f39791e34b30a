// What live figures are made of.

/** What came in a second. */
export interface Flow {
  signal: string;
  items_per_s: number;
  refused_per_s: number;
}

interface Counts {
  signal: string;
  transport: string;
  items: number;
  refused_requests: number;
}

/** From counters that were read `seconds` apart. A counter that began anew counts from zero. */
export function flowsBetween(before: Counts[], after: Counts[], seconds: number): Flow[] {
  const flows = new Map<string, Flow>();
  for (const now of after) {
    const then = before.find((t) => t.signal === now.signal && t.transport === now.transport);
    const grown = (value: number, was = 0) => (value < was ? value : value - was) / seconds;
    const flow = flows.get(now.signal) ?? { signal: now.signal, items_per_s: 0, refused_per_s: 0 };
    flow.items_per_s += grown(now.items, then?.items);
    flow.refused_per_s += grown(now.refused_requests, then?.refused_requests);
    flows.set(now.signal, flow);
  }
  return [...flows.values()];
}

/** The list, newest number first, with this one in the place of the one with its number. */
export function replaced<T extends { id: number }>(list: T[] | undefined, one: T): T[] | undefined {
  // A list that was never asked for would look as if this were all.
  if (list === undefined) return undefined;
  const index = list.findIndex((other) => other.id === one.id);
  if (index >= 0) return list.with(index, one);
  const place = list.findIndex((other) => other.id < one.id);
  return list.toSpliced(place < 0 ? list.length : place, 0, one);
}

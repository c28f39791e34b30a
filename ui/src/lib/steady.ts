// The order of a list that is being looked at: what is there keeps its place, what is new waits at
// the end, what is gone leaves.

export function steady(fresh: string[], held: string[]): string[] {
  const present = new Set(fresh);
  const kept = held.filter((key) => present.has(key));
  const known = new Set(kept);
  return [...kept, ...fresh.filter((key) => !known.has(key))];
}

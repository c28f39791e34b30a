// Rows that never jump while somebody points at them: values change in place, what is new waits.

export interface Steady<T> {
  rows: T[];
  /** How many wait to be shown. */
  waiting: number;
}

/** `current` in the order of `taken`, which names the rows that were shown when they were taken hold of. */
export function heldRows<T>(
  current: T[],
  taken: T[] | undefined,
  key: (row: T) => string | number,
): Steady<T> {
  if (taken === undefined) return { rows: current, waiting: 0 };
  const now = new Map(current.map((row) => [key(row), row]));
  const shown = new Set(taken.map(key));
  return {
    // What has left the list stays as it was until the rows are let go.
    rows: taken.map((row) => now.get(key(row)) ?? row),
    waiting: current.filter((row) => !shown.has(key(row))).length,
  };
}

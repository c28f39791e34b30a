// Where the rows of a long list stand, so that only those in sight are drawn.

export interface Rows {
  readonly count: number;
  /** Height of all. */
  readonly total: number;
  /** The upper edge of a row. */
  top(index: number): number;
  /** The row at a height; the last where it is below all. */
  at(height: number): number;
}

/** Rows of one height. */
export function even(count: number, height: number): Rows {
  return {
    count,
    total: count * height,
    top: (index) => index * height,
    at: (y) => Math.min(Math.max(0, Math.floor(y / height)), Math.max(0, count - 1)),
  };
}

/** Rows of the heights that `heightOf` tells. */
export function uneven(count: number, heightOf: (index: number) => number): Rows {
  const edges = new Float64Array(count + 1);
  for (let index = 0; index < count; index += 1) edges[index + 1] = edges[index]! + heightOf(index);
  return {
    count,
    total: edges[count]!,
    top: (index) => edges[Math.min(index, count)]!,
    at: (y) => {
      let [low, high] = [0, count];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (edges[middle + 1]! <= y) low = middle + 1;
        else high = middle;
      }
      return Math.min(low, Math.max(0, count - 1));
    },
  };
}

/** Lines that a text of equal letters takes when it is broken after `columns` of them. */
export function linesOf(text: string, columns: number): number {
  let lines = 0;
  for (const line of text.split('\n'))
    lines += Math.max(1, Math.ceil(line.length / Math.max(1, columns)));
  return lines;
}

/** The rows to draw: those in sight and a few around, always as many while the list is long enough. */
export function inSight(
  rows: Rows,
  scrolled: number,
  height: number,
  around: number,
): { from: number; to: number } {
  if (rows.count === 0) return { from: 0, to: 0 };
  const from = Math.max(0, rows.at(scrolled) - around);
  const to = Math.min(rows.count, rows.at(scrolled + height) + 1 + around);
  return { from, to };
}

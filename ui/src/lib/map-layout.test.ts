import { describe, expect, it } from 'vitest';
import { columnsOf, laidOut, type LayoutQuestion } from './map-layout';
import { fingerprint } from './map-layouts';

function question(...pairs: string[]): LayoutQuestion {
  const edges = pairs.filter((pair) => pair.includes('>')).map((pair) => pair.split('>'));
  const nodes = [...new Set(pairs.flatMap((pair) => pair.split('>')))].toSorted();
  return { nodes, edges: edges as [string, string][], width: 100, height: 40 };
}

describe('laidOut', () => {
  it('runs calls from left to right', () => {
    const { at } = laidOut(question('web>cart', 'cart>db', 'web>db'));
    expect(at.web![0]).toBeLessThan(at.cart![0]);
    expect(at.cart![0]).toBeLessThan(at.db![0]);
  });
  it('lets no two boxes overlap, and fits all in', () => {
    const asked = question('a>b', 'a>c', 'a>d', 'b>e', 'c>e', 'd>a', 'lone', 'other');
    const { at, width, height } = laidOut(asked);
    const boxes = Object.values(at);
    expect(boxes).toHaveLength(asked.nodes.length);
    for (const [x, y] of boxes) {
      expect(x >= 0 && y >= 0 && x + 100 <= width && y + 40 <= height).toBe(true);
      const over = boxes.filter(([a, b]) => Math.abs(a - x) < 100 && Math.abs(b - y) < 40);
      expect(over).toHaveLength(1);
    }
  });
  it('has a line for every call, in order, also for those that run back', () => {
    const asked = question('a>b', 'b>c', 'c>a');
    const { paths, at } = laidOut(asked);
    expect(paths).toHaveLength(3);
    paths.forEach((path, index) => {
      const [from, to] = asked.edges[index]!;
      const back = at[to]![0] < at[from]![0];
      const start = at[from]![0] + (back ? 0 : 100);
      expect(path.startsWith(`M${start} ${at[from]![1] + (back ? 30 : 20)}`)).toBe(true);
    });
  });
  it('is the same for the same graph', () => {
    const asked = question('a>b', 'a>c', 'b>d', 'c>d', 'd>e', 'b>e');
    expect(laidOut(asked)).toEqual(laidOut(structuredClone(asked)));
  });
  it('takes an empty map, and one without calls', () => {
    expect(laidOut(question())).toEqual({ width: 0, height: 0, at: {}, paths: [] });
    expect(laidOut(question('a', 'b')).at).toEqual({ a: [0, 0], b: [121, 0] });
  });
});

describe('columnsOf', () => {
  const columns = (...pairs: string[]) => {
    const { nodes, edges } = question(...pairs);
    return Object.fromEntries(columnsOf(nodes, edges));
  };
  it('puts a box right of the last of its callers', () => {
    expect(columns('a>b', 'b>c', 'a>c', 'd>c')).toEqual({ a: 0, b: 1, c: 2, d: 0 });
  });
  it('opens circles, those behind which others wait too', () => {
    expect(columns('a>b', 'b>a', 'b>c')).toEqual({ a: 0, b: 1, c: 2 });
    expect(columns('web>a', 'a>b', 'b>a')).toEqual({ web: 0, a: 1, b: 2 });
  });
});

describe('a large map', () => {
  it('keeps its columns, and draws calls that skip some', () => {
    const asked = question('a>c', 'a>d', 'b>d', 'c>e', 'd>f', 'e>g', 'a>e', 'b>g', 'a>g');
    const { at, paths } = laidOut(asked, 4);
    for (const [from, to] of asked.edges) expect(at[from]![0]).toBeLessThan(at[to]![0]);
    asked.edges.forEach(([from], index) => {
      expect(paths[index]).toMatch(new RegExp(`^M${at[from]![0] + 100} `));
    });
  });
});

describe('fingerprint', () => {
  it('tells graphs apart', () => {
    const marks = [question('a>b'), question('b>a'), question('a>b', 'c'), question()].map(
      fingerprint,
    );
    expect(new Set(marks).size).toBe(4);
  });
});

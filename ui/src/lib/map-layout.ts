// Where boxes stand and lines run: calls left to right, by dagre. Pure; runs in a worker
// (map.worker.ts). The same graph always gets the same layout.

import { Graph, layout } from '@dagrejs/dagre';

export interface LayoutQuestion {
  /** Ids, in the order in which they should stand where nothing else decides. */
  nodes: string[];
  edges: [from: string, to: string][];
  width: number;
  height: number;
}

export interface Layout {
  width: number;
  height: number;
  /** The upper left corner of each box. */
  at: Record<string, [number, number]>;
  /** SVG paths, in the order of the question's edges. */
  paths: string[];
}

const BETWEEN_COLUMNS = 42;
const BETWEEN_ROWS = 22;
/** With more calls, those that skip a column take no part in the placing: each costs as much as a
 *  box in every column that it passes. They are drawn all the same, straight through. */
const ROUTED_MAX = 160;

export function laidOut(
  { nodes, edges, width, height }: LayoutQuestion,
  routedMax = ROUTED_MAX,
): Layout {
  const joined = new Set(edges.flat());
  const large = edges.length > routedMax;
  const ranks = large ? columnsOf(nodes, edges) : undefined;
  const graph = new Graph({ multigraph: false });
  graph.setGraph({
    rankdir: 'LR',
    // dagre halves it and gives each edge a second rank for its label.
    ranksep: BETWEEN_COLUMNS,
    nodesep: BETWEEN_ROWS,
    edgesep: 8,
    ranker: large ? 'tight-tree' : 'network-simplex',
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of nodes) if (joined.has(id)) graph.setNode(id, { width, height });
  for (const [from, to] of edges)
    if (!ranks || ranks.get(to)! - ranks.get(from)! === 1) graph.setEdge(from, to);
  if (joined.size > 0) layout(graph);

  const at: Layout['at'] = {};
  let [right, bottom] = [0, 0];
  for (const id of nodes.filter((one) => joined.has(one))) {
    const { x, y } = graph.node(id) as { x: number; y: number };
    at[id] = [Math.round(x - width / 2), Math.round(y - height / 2)];
    right = Math.max(right, x + width / 2);
    bottom = Math.max(bottom, y + height / 2);
  }
  const columns = new Set(Object.values(at).map(([x]) => x));
  const paths = edges.map(([from, to]) => {
    const placed = graph.edge(from, to) as { points: { x: number; y: number }[] } | undefined;
    return path(at[from]!, at[to]!, placed?.points ?? [], columns, width, height);
  });
  const alone = nodes.filter((id) => !joined.has(id));
  const grid = standAlone(alone, right, bottom, width, height);
  Object.assign(at, grid.at);
  return { width: Math.ceil(grid.right), height: Math.ceil(grid.bottom), at, paths };
}

/**
 * The column of each box: one right of the last of its callers, calls that close a circle left out.
 * So every box but those of the first column has a caller in the column before.
 */
export function columnsOf(nodes: string[], edges: [string, string][]): Map<string, number> {
  const callees = new Map<string, string[]>(nodes.map((id) => [id, []]));
  const waiting = new Map<string, number>(nodes.map((id) => [id, 0]));
  for (const [from, to] of edges) {
    callees.get(from)!.push(to);
    waiting.set(to, waiting.get(to)! + 1);
  }
  const column = new Map<string, number>();
  const ready = nodes.filter((id) => waiting.get(id) === 0);
  let rest = nodes.filter((id) => waiting.get(id)! > 0);
  while (ready.length > 0 || rest.length > 0) {
    // Only circles are left: the one that waits for fewest begins.
    if (ready.length === 0) {
      rest = rest.filter((id) => waiting.get(id)! > 0);
      const first = rest.toSorted((a, b) => waiting.get(a)! - waiting.get(b)!)[0];
      if (first === undefined) break;
      waiting.set(first, 0);
      ready.push(first);
    }
    const id = ready.pop()!;
    column.set(id, column.get(id) ?? 0);
    for (const callee of callees.get(id)!) {
      const left = waiting.get(callee)!;
      if (left <= 0) continue;
      column.set(callee, Math.max(column.get(callee) ?? 0, column.get(id)! + 1));
      waiting.set(callee, left - 1);
      if (left === 1) ready.push(callee);
    }
  }
  return column;
}

/** Those that nobody is seen to call, and that call nobody: in rows below the others. */
function standAlone(ids: string[], right: number, bottom: number, width: number, height: number) {
  const at: Layout['at'] = {};
  if (ids.length === 0) return { at, right, bottom };
  const stride = width + BETWEEN_COLUMNS / 2;
  const square = Math.ceil(Math.sqrt(ids.length * 3));
  const columns = Math.max(1, right > 0 ? Math.floor((right + stride - width) / stride) : square);
  const top = bottom === 0 ? 0 : bottom + 2 * BETWEEN_ROWS;
  ids.forEach((id, index) => {
    const x = (index % columns) * stride;
    const y = Math.round(top + Math.floor(index / columns) * (height + BETWEEN_ROWS));
    at[id] = [Math.round(x), y];
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  });
  return { at, right, bottom };
}

/**
 * From the right edge of the caller to the left edge of the callee, level where it passes between
 * the boxes of a column. A call that runs back goes from the left edge to the right one, lower.
 */
function path(
  from: [number, number],
  to: [number, number],
  points: { x: number; y: number }[],
  columns: Set<number>,
  width: number,
  height: number,
): string {
  const back = to[0] < from[0];
  // Below the calls that run on: two that call each other are seen as two lines.
  const level = back ? (height * 3) / 4 : height / 2;
  const start = { x: back ? from[0] : from[0] + width, y: from[1] + level };
  const end = { x: back ? to[0] + width : to[0], y: to[1] + level };
  let text = `M${start.x} ${start.y}`;
  let last = start;
  const curve = (x: number, y: number) => {
    const middle = round((last.x + x) / 2);
    text += y === last.y ? `H${x}` : `C${middle} ${last.y} ${middle} ${y} ${x} ${y}`;
    last = { x, y };
  };
  for (const point of points.slice(1, -1)) {
    const left = Math.round(point.x - width / 2);
    if (!columns.has(left)) continue;
    const y = round(point.y);
    curve(back ? left + width : left, y);
    curve(back ? left : left + width, y);
  }
  curve(end.x, end.y);
  return text;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

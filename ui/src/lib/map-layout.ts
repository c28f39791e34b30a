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

const BETWEEN_COLUMNS = 58;
const BETWEEN_ROWS = 22;
/** Above this the exact placing in columns takes too long for what it gains. */
const EXACT_MAX = 90;

export function laidOut({ nodes, edges, width, height }: LayoutQuestion): Layout {
  const joined = new Set(edges.flat());
  const graph = new Graph({ multigraph: false });
  graph.setGraph({
    rankdir: 'LR',
    // dagre halves it and gives each edge a second rank for its label.
    ranksep: BETWEEN_COLUMNS,
    nodesep: BETWEEN_ROWS,
    edgesep: 8,
    ranker: nodes.length <= EXACT_MAX ? 'network-simplex' : 'tight-tree',
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of nodes) if (joined.has(id)) graph.setNode(id, { width, height });
  for (const [from, to] of edges) graph.setEdge(from, to, { weight: 1 });
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
    const { points } = graph.edge(from, to) as { points: { x: number; y: number }[] };
    return path(at[from]!, at[to]!, points, columns, width, height);
  });
  const alone = nodes.filter((id) => !joined.has(id));
  const grid = standAlone(alone, right, bottom, width, height);
  Object.assign(at, grid.at);
  return { width: Math.ceil(grid.right), height: Math.ceil(grid.bottom), at, paths };
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
 * the boxes of a column. A call that runs back goes from the left edge to the right one.
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
  const start = { x: back ? from[0] : from[0] + width, y: from[1] + height / 2 };
  const end = { x: back ? to[0] + width : to[0], y: to[1] + height / 2 };
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

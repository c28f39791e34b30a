// The service map as data: what is drawn, what is folded away, how thick a line is, where the
// arrow keys lead. Layout is in map-layout.ts, pan and zoom in map-view.ts.

import type { NodeState } from './headline';
import type { EntityFacts } from './naming';

export type NodeKind =
  'users' | 'service' | 'database' | 'queue' | 'peer' | 'page' | 'host' | 'other' | 'group';

/** How a box is drawn: states, and shades of the other colourings. */
export type BoxTone =
  | 'plain'
  | 'bad'
  | 'risk'
  | 'healing'
  | 'none'
  | 'learning'
  | 'faded'
  | 'drill'
  | 'changed'
  | `heat${1 | 2 | 3 | 4 | 5}`;

export interface MapNode {
  id: string;
  /** Of users and groups there is none. */
  entity?: EntityFacts;
  name: string;
  kind: NodeKind;
  state: NodeState;
  environment: string;
  /** Requests a second. */
  rate: number | null;
  /** Share that failed, 0–1. */
  errors: number | null;
  p95_s: number | null;
  since: string | null;
  /** Of a group: what it stands for. */
  members?: string[];
}

export interface MapEdge {
  from: string;
  to: string;
  rate: number | null;
  errors: number | null;
}

export interface Graph {
  nodes: MapNode[];
  edges: MapEdge[];
}

/** A box as it is drawn. */
export interface Box {
  id: string;
  name: string;
  kind: NodeKind;
  state: NodeState;
  tone: BoxTone;
  /** The second line. */
  line: string;
  /** What stands above the box: a change just before. */
  mark?: string;
  /** The place where trouble begins. */
  strong?: boolean;
  /** Where Enter and a click lead; a box without is only looked at. */
  href?: string;
}

export interface Line {
  from: string;
  to: string;
  rate: number | null;
  tone: 'plain' | 'bad' | 'risk' | 'none';
  /** The effect runs back to users: an arrow at the caller's end. */
  effect?: boolean;
}

export const USERS = 'users';
/** More boxes than these are folded. */
export const SHOWN_MAX = 60;

export function edgeKey(edge: { from: string; to: string }): string {
  return `${edge.from}\n${edge.to}`;
}

/** By name, and by id where names are the same: a layout depends on nothing else. */
export function sorted(graph: Graph): Graph {
  const nodes = graph.nodes.toSorted(
    (a, b) => a.name.localeCompare(b.name, 'en') || (a.id < b.id ? -1 : 1),
  );
  const known = new Set(nodes.map((node) => node.id));
  const edges = graph.edges
    .filter((edge) => known.has(edge.from) && known.has(edge.to) && edge.from !== edge.to)
    .toSorted((a, b) => (edgeKey(a) < edgeKey(b) ? -1 : 1));
  return { nodes, edges };
}

/** Calls that nobody is seen to make are users' where they are more than this share of all. */
const USERS_SHARE_MIN = 0.2;

/** With users at the left, who make the calls that nobody else is seen to make. */
export function withUsers(graph: Graph): Graph {
  const seen = new Map<string, number>();
  for (const { to, rate } of graph.edges) seen.set(to, (seen.get(to) ?? 0) + (rate ?? 0));
  const entries = graph.nodes
    .filter((node) => node.kind === 'service' || node.kind === 'page')
    .map((node) => ({ ...node, unseen: (node.rate ?? 0) - (seen.get(node.id) ?? 0) }))
    .filter((node) => node.unseen > 0 && node.unseen > (node.rate ?? 0) * USERS_SHARE_MIN);
  if (entries.length === 0) return graph;
  const hurt = entries.some((node) => node.state === 'hurt');
  const users: MapNode = {
    id: USERS,
    name: 'users',
    kind: 'users',
    state: hurt ? 'hurt' : 'well',
    environment: '',
    rate: entries.reduce((sum, node) => sum + node.unseen, 0),
    errors: null,
    p95_s: null,
    since: null,
  };
  const edges = entries.map((node) => ({
    from: USERS,
    to: node.id,
    rate: node.unseen,
    errors: node.errors,
  }));
  return { nodes: [users, ...graph.nodes], edges: [...edges, ...graph.edges] };
}

/** What is not plainly well, the other ends of its calls, and users. */
export function inFull(graph: Graph): Set<string> {
  const unwell = new Set(
    graph.nodes
      .filter((node) => !['well', 'no_traffic', 'learning'].includes(node.state))
      .map((node) => node.id),
  );
  const full = new Set([USERS, ...unwell]);
  for (const { from, to } of graph.edges) {
    if (unwell.has(from)) full.add(to);
    if (unwell.has(to)) full.add(from);
  }
  return full;
}

/** Where a node is folded to: its namespace, else the first word of its name. */
export function groupOf(node: MapNode): string {
  const slash = node.name.indexOf('/');
  const word = slash > 0 ? node.name.slice(0, slash) : (node.name.split(/[-_.:]/)[0] ?? '');
  return word === '' ? node.name : word;
}

/**
 * Folded to what can be read: nodes of `full` and of opened groups stay, the others become one box
 * a group; groups of one stay as they are unless there are too many, then they are one box.
 */
export function folded(graph: Graph, full: Set<string>, opened: Set<string> = new Set()): Graph {
  const groups = new Map<string, MapNode[]>();
  const stays: MapNode[] = [];
  for (const node of graph.nodes) {
    const group = groupOf(node);
    if (full.has(node.id) || opened.has(group)) stays.push(node);
    else groups.set(group, [...(groups.get(group) ?? []), node]);
  }
  const single = [...groups].filter(([, members]) => members.length === 1);
  const many = stays.length + groups.size > SHOWN_MAX && single.length > 1;
  for (const [group, members] of single) {
    groups.delete(group);
    if (!many || opened.has(REST)) stays.push(...members);
  }
  if (many && !opened.has(REST)) {
    groups.set(
      REST,
      single.flatMap(([, members]) => members),
    );
  }
  const home = new Map<string, string>();
  const boxes = [...groups].map(([group, members]) => {
    const box = grouped(group, members);
    for (const member of members) home.set(member.id, box.id);
    return box;
  });
  return { nodes: [...stays, ...boxes], edges: merged(graph.edges, home) };
}

/** The box of all that has no siblings. */
const REST = 'others';

function grouped(group: string, members: MapNode[]): MapNode {
  const rates = members.flatMap((node) => (node.rate === null ? [] : [node.rate]));
  return {
    id: `group:${group}`,
    name: group,
    kind: 'group',
    state: members.every((node) => node.state === 'learning') ? 'learning' : 'well',
    environment: '',
    rate: rates.length > 0 ? rates.reduce((sum, rate) => sum + rate, 0) : null,
    errors: null,
    p95_s: null,
    since: null,
    members: members.map((node) => node.id),
  };
}

/** Edges between boxes: those between the same two are one. */
function merged(edges: MapEdge[], home: Map<string, string>): MapEdge[] {
  const found = new Map<string, MapEdge>();
  for (const edge of edges) {
    const [from, to] = [home.get(edge.from) ?? edge.from, home.get(edge.to) ?? edge.to];
    if (from === to) continue;
    const known = found.get(edgeKey({ from, to }));
    if (known === undefined) found.set(edgeKey({ from, to }), { ...edge, from, to });
    else if (edge.rate !== null) known.rate = (known.rate ?? 0) + edge.rate;
  }
  return [...found.values()];
}

/** Of a line, from the share of the busiest: its area grows with traffic. */
export function lineWidth(rate: number | null, busiest: number): number {
  if (rate === null || rate <= 0 || busiest <= 0) return 1.2;
  return 1.2 + 3.8 * Math.sqrt(Math.min(1, rate / busiest));
}

export type Direction = 'left' | 'right' | 'up' | 'down';

/** Where an arrow key leads: along a call if there is one that way, else to the nearest box. */
export function stepFrom(
  from: string,
  direction: Direction,
  at: Record<string, [number, number]>,
  edges: { from: string; to: string }[],
): string {
  const here = at[from];
  if (here === undefined) return Object.keys(at)[0] ?? from;
  const aside = direction === 'left' || direction === 'right';
  const sign = direction === 'right' || direction === 'down' ? 1 : -1;
  const ahead = (id: string) => {
    const there = at[id];
    return there !== undefined && (aside ? there[0] - here[0] : there[1] - here[1]) * sign > 1;
  };
  const far = (id: string) => {
    const there = at[id]!;
    const [along, across] = aside
      ? [Math.abs(there[0] - here[0]), Math.abs(there[1] - here[1])]
      : [Math.abs(there[1] - here[1]), Math.abs(there[0] - here[0])];
    return along + across * (aside ? 2 : 4);
  };
  const nearest = (ids: string[]) => ids.filter(ahead).toSorted((a, b) => far(a) - far(b))[0];
  const joined = !aside
    ? []
    : edges.flatMap((e) => (e.from === from ? [e.to] : e.to === from ? [e.from] : []));
  return nearest(joined) ?? nearest(Object.keys(at)) ?? from;
}

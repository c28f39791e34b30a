// How the map is dressed: by health, traffic, changes or what drills have proven. The words of a
// box's second line and its tone are decided here and nowhere else.

import { count, duration, percent, plural, rate, THIN, took } from './format';
import type { NodeState } from './headline';
import {
  USERS,
  type Box,
  type BoxTone,
  type Graph,
  type Line,
  type MapEdge,
  type MapNode,
} from './map';

export type Colouring = 'health' | 'traffic' | 'changes' | 'drills';
export const COLOURINGS: [Colouring, string][] = [
  ['health', 'Health'],
  ['traffic', 'Traffic'],
  ['changes', 'Changes'],
  ['drills', 'Drills'],
];

/** What is known beside the graph, by a node's id. */
export interface Known {
  now: number;
  changes: Map<string, { summary: string; at: number }>;
  drills: Map<string, { drilled: number; passed: number; of: number }>;
  /** Where trouble begins. */
  causes: Set<string>;
  href: (node: MapNode) => string | undefined;
}

/** A change is marked on a map of health only while it may have to do with what is seen. */
const MARKED_FOR_MS = 15 * 60_000;

const TONES: Record<NodeState, BoxTone> = {
  hurt: 'bad',
  healing: 'healing',
  at_risk: 'risk',
  no_data: 'none',
  learning: 'learning',
  no_traffic: 'plain',
  well: 'plain',
};

export const STATE_WORDS: Record<NodeState, string> = {
  hurt: 'hurt',
  healing: 'well again, being watched',
  at_risk: 'at risk',
  no_data: 'no data',
  learning: 'learning what is normal',
  no_traffic: 'no requests',
  well: 'well',
};

export function dressed(
  graph: Graph,
  by: Colouring,
  known: Known,
): { boxes: Box[]; lines: Line[] } {
  const busiest = Math.max(0, ...graph.nodes.map((n) => (n.id === USERS ? 0 : (n.rate ?? 0))));
  const states = new Map(graph.nodes.map((node) => [node.id, node.state]));
  return {
    boxes: graph.nodes.map((node) => box(node, by, known, busiest)),
    lines: graph.edges.map((edge) => ({
      from: edge.from,
      to: edge.to,
      rate: edge.rate,
      tone: by === 'health' ? lineTone(edge, states) : 'plain',
    })),
  };
}

/** Trouble runs along calls between two that are hurt. */
function lineTone(edge: MapEdge, states: Map<string, NodeState>): Line['tone'] {
  const [from, to] = [states.get(edge.from), states.get(edge.to)];
  if (from === 'hurt' && to === 'hurt') return 'bad';
  if (to === 'no_data' || from === 'no_data') return 'none';
  const tense = (state: NodeState | undefined) => state === 'at_risk' || state === 'healing';
  return tense(from) && tense(to) ? 'risk' : 'plain';
}

function box(node: MapNode, by: Colouring, known: Known, busiest: number): Box {
  const base: Box = {
    id: node.id,
    name: node.name,
    kind: node.kind,
    state: node.state,
    tone: by === 'health' ? TONES[node.state] : 'plain',
    line: figures(node, known.now),
    strong: by === 'health' && known.causes.has(node.id),
    href: known.href(node),
  };
  if (node.kind === 'users') return base;
  const change = latest(node, known);
  if (by === 'health') {
    if (change && known.now - change.at < MARKED_FOR_MS && TONES[node.state] !== 'plain')
      base.mark = `${change.summary} · ${ago(change.at, known.now)}`;
    return base;
  }
  if (by === 'traffic') return { ...base, tone: heat(node.rate, busiest) };
  if (by === 'changes') {
    if (!change) return { ...base, tone: 'faded', line: 'no change' };
    return { ...base, tone: 'changed', line: change.summary, mark: ago(change.at, known.now) };
  }
  return { ...base, ...proof(node, known) };
}

/** The second line of a box: `418/s · 0 % · 41 ms`. */
export function figures(node: MapNode, now: number): string {
  const rates = node.rate === null ? 'calls not seen' : rate(node.rate);
  if (node.kind === 'users') return rate(node.rate);
  if (node.members) return `${plural(node.members.length, 'service')} · ${rates}`;
  if (node.state === 'no_data')
    return node.since === null
      ? 'no data'
      : `no data for ${duration((now - Date.parse(node.since)) / 1000)}`;
  if (node.state === 'no_traffic' || node.rate === 0) return 'no requests';
  if (node.rate === null) return rates;
  return [rates, percent(node.errors), took(node.p95_s)].join(' · ');
}

function latest(node: MapNode, known: Known): { summary: string; at: number } | undefined {
  const changes = [node.id, ...(node.members ?? [])].flatMap((id) => known.changes.get(id) ?? []);
  return changes.toSorted((a, b) => b.at - a.at)[0];
}

/** The age of a moment in its largest unit: `7 min ago`. */
export function ago(at: number, now: number): string {
  return `${duration(Math.max(0, now - at) / 1000).split(' ')[0]} ago`;
}

/** Five shades, each for half of the one above. */
export function heat(of: number | null, busiest: number): BoxTone {
  if (of === null || of <= 0 || busiest <= 0) return 'faded';
  const halves = Math.log2(busiest / of);
  return `heat${Math.max(1, 5 - Math.floor(halves)) as 1 | 2 | 3 | 4 | 5}`;
}

function proof(node: MapNode, known: Known): { tone: BoxTone; line: string } {
  const found = [node.id, ...(node.members ?? [])].flatMap((id) => known.drills.get(id) ?? []);
  const sum = (pick: (of: (typeof found)[number]) => number) =>
    found.reduce((total, one) => total + pick(one), 0);
  const [drilled, passed, of] = [sum((d) => d.drilled), sum((d) => d.passed), sum((d) => d.of)];
  if (of === 0) return { tone: 'faded', line: 'no target to drill' };
  if (drilled === 0) return { tone: 'plain', line: `0 of ${count(of)} drilled` };
  return {
    tone: passed < drilled ? 'bad' : 'drill',
    line: `${count(drilled)} of ${count(of)} drilled, ${count(passed)} passed`,
  };
}

/** Cut by hand: a box that clips its text costs a layer's work each time that all boxes move. */
export function shortened(text: string, most: number): string {
  const characters = Math.max(4, Math.floor(most));
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}

/** A box as it is spoken. */
export function spoken(box: Box): string {
  const kind = box.kind === 'group' || box.kind === 'users' ? '' : ` ${box.kind}`;
  const words = [
    `${box.name}${kind}`,
    box.kind === 'group' ? 'folded' : STATE_WORDS[box.state],
    box.line,
    box.mark ?? '',
  ];
  return words
    .filter((word) => word !== '')
    .join(', ')
    .replaceAll(THIN, ' ');
}

// The service map from the API's answers.

import type { NodeState } from './headline';
import type { Graph, MapNode, NodeKind } from './map';
import { entityKey, ownerKey, type EntityFacts } from './naming';

/** What is read of `GET /api/v1/topology`. */
export interface TopologyFacts {
  nodes: {
    entity: EntityFacts;
    state: NodeState;
    since?: string | null;
    requests_per_s?: number | null;
    error_ratio?: number | null;
    p95_seconds?: number | null;
  }[];
  edges: {
    caller: EntityFacts;
    callee: EntityFacts;
    requests_per_s?: number | null;
    error_ratio?: number | null;
  }[];
}

const KINDS: NodeKind[] = ['service', 'database', 'queue', 'peer', 'page', 'host'];

/** Of one environment, or of all; then names say which where there are several. */
export function graphOf(topology: TopologyFacts, environment?: string): Graph {
  const wanted = (entity: EntityFacts) =>
    environment === undefined || entity.scope.environment === environment;
  const several = environmentsOf(topology).length > 1 && environment === undefined;
  const nodes: MapNode[] = topology.nodes
    .filter((node) => wanted(node.entity))
    .map((node) => ({
      id: entityKey(node.entity),
      entity: node.entity,
      name: several ? `${node.entity.name} (${node.entity.scope.environment})` : node.entity.name,
      kind: KINDS.find((kind) => kind === node.entity.kind) ?? 'other',
      state: node.state,
      environment: node.entity.scope.environment,
      rate: node.requests_per_s ?? null,
      errors: node.error_ratio ?? null,
      p95_s: node.p95_seconds ?? null,
      since: node.since ?? null,
    }));
  const edges = topology.edges
    .filter((edge) => wanted(edge.caller) && wanted(edge.callee))
    .map((edge) => ({
      from: entityKey(edge.caller),
      to: entityKey(edge.callee),
      rate: edge.requests_per_s ?? null,
      errors: edge.error_ratio ?? null,
    }));
  return { nodes, edges };
}

export function environmentsOf(topology: TopologyFacts): string[] {
  return [...new Set(topology.nodes.map((node) => node.entity.scope.environment))].toSorted();
}

/** The newest change of each node. */
export function changesBy(
  changes: { at: string; kind: string; summary: string; entity: EntityFacts }[],
): Map<string, { summary: string; at: number }> {
  const found = new Map<string, { summary: string; at: number }>();
  for (const { at, kind, summary, entity } of changes) {
    const id = ownerKey(entity);
    const time = Date.parse(at);
    if ((found.get(id)?.at ?? 0) < time)
      found.set(id, { summary: summary === '' ? kind : summary.replace(' -> ', ' → '), at: time });
  }
  return found;
}

/** How much of each node was drilled, and how much of that passed: fresh results only. */
export function drillsBy(
  targets: { name: string; entity: EntityFacts }[],
  matrix: MatrixFacts | undefined,
): Map<string, { drilled: number; passed: number; of: number }> {
  const found = new Map<string, { drilled: number; passed: number; of: number }>();
  if (matrix === undefined) return found;
  for (const { name, entity } of targets) {
    const known = found.get(ownerKey(entity)) ?? { drilled: 0, passed: 0, of: 0 };
    const fresh = matrix.cells.filter((cell) => !cell.stale && cell.target === name);
    found.set(ownerKey(entity), {
      drilled: known.drilled + fresh.length,
      passed: known.passed + fresh.filter((cell) => cell.last_passed).length,
      of: known.of + matrix.faults.length,
    });
  }
  return found;
}

/** What is read of `GET /api/v1/drills/matrix`. */
export interface MatrixFacts {
  faults: string[];
  cells: { target: string; stale: boolean; last_passed: boolean }[];
}

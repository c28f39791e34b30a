// How a service, database, queue or peer is named, reached and put in order.

import type { IconName } from '../components/Icon.svelte';
import type { Entity, NodeState, ObjectiveState, ServiceState } from '../api/schema';
import { duration, listed, plural } from './format';
import { entityKey } from './naming';
import { linkTo } from './router.svelte';

export type Tone = 'plain' | 'ok' | 'risk' | 'bad' | 'healing' | 'nodata';

interface StateLook {
  /** As it stands in a tag. */
  word: string;
  tone: Tone;
  icon?: IconName;
  /** Low: odd ones, which come first. */
  rank: number;
}

export const STATES: Record<NodeState, StateLook> = {
  hurt: { word: 'Users hurt', tone: 'bad', icon: 'bad', rank: 0 },
  healing: { word: 'Well again, watched', tone: 'healing', icon: 'healing', rank: 1 },
  at_risk: { word: 'At risk', tone: 'risk', icon: 'risk', rank: 2 },
  no_data: { word: 'No data', tone: 'nodata', icon: 'nodata', rank: 3 },
  learning: { word: 'Learning', tone: 'plain', rank: 4 },
  well: { word: 'Well', tone: 'plain', rank: 5 },
  no_traffic: { word: 'No requests', tone: 'plain', rank: 6 },
};

/** The state with how long it lasts, where that is known: "No data for 6 min". */
export function stateWords(state: NodeState, since: string | null | undefined, now: number) {
  const { word } = STATES[state];
  if (!since) return word;
  return `${word} for ${duration((now - Date.parse(since)) / 1_000)}`;
}

/** In its largest unit: `12 min ago`. */
export function ago(at: string | number, now: number): string {
  const seconds = Math.max(0, now - new Date(at).getTime()) / 1_000;
  return `${duration(seconds).split(' ')[0]} ago`;
}

/** The page of a node. The usual environment and kind go without saying. */
export function servicePath(entity: Entity, base?: URLSearchParams): string {
  const { environment } = entity.scope;
  return linkTo(
    `/services/${encodeURIComponent(entity.name)}`,
    {
      environment: environment === 'default' ? undefined : environment,
      kind: entity.kind === 'service' ? undefined : entity.kind,
    },
    base,
  );
}

/** Is `entity` this node, or a part of it? */
export function isOf(node: Entity, entity: Entity): boolean {
  const { scope } = entity;
  if (scope.environment !== node.scope.environment || scope.tenant !== node.scope.tenant)
    return false;
  if (entity.kind === node.kind) return entity.name === node.name;
  return node.kind === 'service' && entity.part_of === node.name;
}

export const SORTS = {
  state: (service: ServiceState) => -STATES[service.state].rank,
  requests: (service: ServiceState) => service.requests_per_s,
  failed: (service: ServiceState) => service.error_ratio ?? -1,
  p50: (service: ServiceState) => service.p50_seconds ?? -1,
  p95: (service: ServiceState) => service.p95_seconds ?? -1,
  instances: (service: ServiceState) => service.instances,
  change: (service: ServiceState) => Date.parse(service.last_change?.at ?? '') || 0,
  budget: (service: ServiceState) => -(service.objective?.budget_left ?? Infinity),
} as const;
export type Sort = keyof typeof SORTS | 'name';

export interface Order {
  by: Sort;
  /** Against the usual direction: numbers fall, names rise. */
  reversed: boolean;
}

/** `failed` or `-failed` of the URL; odd ones first where it makes no sense. */
export function orderOf(text: string | null): Order {
  const reversed = text?.startsWith('-') ?? false;
  const by = (text ?? '').replace('-', '');
  return by === 'name' || by in SORTS
    ? { by: by as Sort, reversed }
    : { by: 'state', reversed: false };
}

export function sorted(services: ServiceState[], { by, reversed }: Order): ServiceState[] {
  const name = (a: ServiceState, b: ServiceState) =>
    a.entity.name.localeCompare(b.entity.name) ||
    entityKey(a.entity).localeCompare(entityKey(b.entity));
  const sign = reversed ? -1 : 1;
  return services.toSorted((a, b) => {
    if (by === 'name') return sign * name(a, b);
    // Infinities are equal to each other.
    const [one, other] = [SORTS[by](a), SORTS[by](b)];
    return one === other ? name(a, b) : sign * (other > one ? 1 : -1);
  });
}

/** All words of `text` are in the name, kind, state, environment or a version. */
export function matches(service: ServiceState, text: string): boolean {
  const { entity, state, versions } = service;
  const said = [
    entity.name,
    entity.kind,
    entity.scope.environment,
    STATES[state].word,
    ...versions.map(({ version }) => version),
  ];
  const all = said.join(' ').toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** `5 services, 2 databases and 1 peer`. */
export function census(services: ServiceState[]): string {
  const counts = new Map<string, number>();
  for (const { entity } of services) {
    counts.set(entity.kind, (counts.get(entity.kind) ?? 0) + 1);
  }
  return listed(
    [...counts].map(([kind, count]) => plural(count, kind)),
    9,
  );
}

/** The sentence of the list: who is not well. */
export function listHeadline(services: ServiceState[]): string {
  const named = (state: NodeState) =>
    services.filter((service) => service.state === state).map(({ entity }) => entity.name);
  const hurt = named('hurt');
  const watched = named('healing');
  const risk = named('at_risk');
  const silent = named('no_data');
  const is = (names: string[]) => (names.length === 1 ? 'is' : 'are');
  const clauses: string[] = [];
  if (hurt.length > 0)
    clauses.push(`${listed(hurt)} ${hurt.length === 1 ? 'hurts' : 'hurt'} users`);
  if (risk.length > 0) clauses.push(`${listed(risk)} ${is(risk)} at risk`);
  if (silent.length > 0)
    clauses.push(`${listed(silent)} ${silent.length === 1 ? 'tells' : 'tell'} nothing`);
  if (watched.length > 0) clauses.push(`${listed(watched)} ${is(watched)} well again, watched`);
  if (clauses.length > 0) return clauses.slice(0, 2).join('; ');
  const learning = named('learning');
  if (learning.length === services.length) return 'Learning what is normal';
  const quiet = named('no_traffic').length;
  const judged = services.length - quiet - learning.length;
  if (judged === 0) return 'No service is asked for anything';
  const rest = [
    learning.length > 0 ? `${listed(learning)} ${is(learning)} still learnt` : '',
    quiet > 0 ? `${quiet} ${quiet === 1 ? 'has' : 'have'} no requests` : '',
  ].filter(Boolean);
  const one = judged === 1 ? '1 is well' : `${judged} are well`;
  const kind = services.every(({ entity }) => entity.kind === 'service') ? ' services' : '';
  const all = judged === services.length && judged > 1 ? `All ${judged}${kind} are well` : one;
  return [all, ...rest].join('; ');
}

/** How near an objective is to trouble. */
export function objectiveTone({ health, budget_left }: ObjectiveState): Tone {
  if (health === 'burning') return 'bad';
  if (health === 'no_data') return 'nodata';
  if (budget_left !== null && budget_left !== undefined && budget_left < 0.1) return 'risk';
  return 'plain';
}

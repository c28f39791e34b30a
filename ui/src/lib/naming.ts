// Names of entities and causes as people read them, the same as the engine writes them.

import type { IconName } from '../components/Icon.svelte';
import type { CauseKind } from '../api/schema';

/** An entity as the API writes it; in tests of any kind. */
export interface EntityFacts {
  scope: { tenant: string; environment: string };
  kind: string;
  part_of: string;
  name: string;
}

/** `payment`, `payment-1`, `payment POST /pay`, `database shop`. */
export function entityName({ kind, part_of, name }: EntityFacts): string {
  if (kind === 'service') return name;
  if (kind === 'instance') return name.startsWith(part_of) ? name : `${part_of}/${name}`;
  if (kind === 'operation') return `${part_of} ${name}`;
  return `${kind} ${name}`;
}

/** The service that it is, or is a part of; itself where it belongs to none. */
export function ownerOf<E extends EntityFacts>(entity: E): E {
  const partial = entity.kind === 'instance' || entity.kind === 'operation';
  return partial ? { ...entity, kind: 'service', part_of: '', name: entity.part_of } : entity;
}

/** Exact text identity: the same name may exist in another environment. */
export function entityKey({ scope, kind, part_of, name }: EntityFacts): string {
  return `${scope.tenant}/${scope.environment}/${kind}:${part_of}/${name}`;
}

/** Of the service that it is, or is a part of. */
export function ownerKey(entity: EntityFacts): string {
  return entityKey(ownerOf(entity));
}

export function entityIcon({ kind }: EntityFacts): IconName {
  if (kind === 'database' || kind === 'queue' || kind === 'peer' || kind === 'page') return kind;
  return 'service';
}

const CAUSES: Record<CauseKind, string> = {
  crash: 'crash',
  silent: 'silence',
  leak: 'memory leak',
  outlier: 'one unlike its siblings',
  dependency_down: 'dependency down',
  network: 'slow way between',
  change: 'change',
  lock: 'lock',
  disk: 'disk full',
  surge: 'traffic surge',
  saturation: 'requests pile up',
  certificate: 'certificate refused',
  unknown: 'unknown',
};

/** What kind of cause, as a noun. */
export function causeName(kind: CauseKind): string {
  return CAUSES[kind];
}

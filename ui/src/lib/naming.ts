// Names of entities and causes as people read them, the same as the engine writes them.

import type { IconName } from '../components/Icon.svelte';
import type { CauseKind, Entity } from '../api/schema';

/** `payment`, `payment-1`, `payment POST /pay`, `database shop`. */
export function entityName({ kind, part_of, name }: Entity): string {
  if (kind === 'service') return name;
  if (kind === 'instance') return name.startsWith(part_of) ? name : `${part_of}/${name}`;
  if (kind === 'operation') return `${part_of} ${name}`;
  return `${kind} ${name}`;
}

/** The service that it is, or is a part of; itself where it belongs to none. */
export function ownerOf(entity: Entity): Entity {
  const partial = entity.kind === 'instance' || entity.kind === 'operation';
  return partial ? { ...entity, kind: 'service', part_of: '', name: entity.part_of } : entity;
}

export function entityKey({ scope, kind, part_of, name }: Entity): string {
  return `${scope.tenant}/${scope.environment}/${kind}:${part_of}/${name}`;
}

export function entityIcon({ kind }: Entity): IconName {
  switch (kind) {
    case 'database':
      return 'database';
    case 'queue':
      return 'queue';
    case 'peer':
      return 'peer';
    case 'page':
      return 'page';
    default:
      return 'service';
  }
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
  unknown: 'unknown',
};

/** What kind of cause, as a noun. */
export function causeName(kind: CauseKind): string {
  return CAUSES[kind];
}

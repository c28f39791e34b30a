// Where an entity has its page.

import { linkTo } from './router.svelte';
import { ownerOf } from './naming';
import type { Entity } from '../api/schema';

/** The page of its service, database, or peer. */
export function entityLink(entity: Entity, query: Record<string, string | undefined> = {}): string {
  return linkTo(`/services/${encodeURIComponent(ownerOf(entity).name)}`, query);
}

// Where a box of the service map leads.

import type { EntityFacts } from './naming';
import { linkTo } from './router.svelte';
import { rangeOf, rangeQuery } from './time';

/** The page of a service, database, queue or peer, in the time range that is looked at. */
export function hrefOf(entity: EntityFacts | undefined, query: URLSearchParams) {
  if (entity === undefined) return undefined;
  const { kind, name, scope } = entity;
  return linkTo(`/services/${encodeURIComponent(name)}`, {
    kind: kind === 'service' ? undefined : kind,
    environment: scope.environment === 'default' ? undefined : scope.environment,
    ...rangeQuery(rangeOf(query)),
  });
}

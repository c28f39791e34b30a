// All pages. A page is loaded when it is first gone to.

import type { Component } from 'svelte';

export interface Route {
  pattern: string;
  load: () => Promise<{ default: Component<any> }>;
  /** The entry of the navigation that it belongs to. */
  belongs: string;
}

export interface Entry {
  name: string;
  path: string;
  /** The second key after `g`. */
  key: string;
}

/** The navigation, in its order. */
export const ENTRIES: Entry[] = [
  { name: 'Incidents', path: '/incidents', key: 'i' },
  { name: 'Healing', path: '/healing', key: 'h' },
];

export const ROUTES: Route[] = [
  {
    pattern: '/incidents',
    load: () => import('./features/incidents/IncidentsPage.svelte'),
    belongs: 'Incidents',
  },
  {
    pattern: '/incidents/:id',
    load: () => import('./features/incident/IncidentPage.svelte'),
    belongs: 'Incidents',
  },
  {
    pattern: '/plans/:id',
    load: () => import('./features/incident/PlanPage.svelte'),
    belongs: 'Incidents',
  },
  {
    pattern: '/healing',
    load: () => import('./features/healing/HealingPage.svelte'),
    belongs: 'Healing',
  },
];

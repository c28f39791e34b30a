// All pages. The code of a page runs when it is first gone to.

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
  { name: 'Overview', path: '/', key: 'o' },
  { name: 'Incidents', path: '/incidents', key: 'i' },
  { name: 'Services', path: '/services', key: 's' },
  { name: 'Traces', path: '/traces', key: 't' },
  { name: 'Logs', path: '/logs', key: 'l' },
  { name: 'Drills', path: '/drills', key: 'd' },
  { name: 'Healing', path: '/healing', key: 'h' },
  { name: 'Settings', path: '/settings', key: 'e' },
];

export const ROUTES: Route[] = [
  {
    pattern: '/',
    load: () => import('./features/overview/Overview.svelte'),
    belongs: 'Overview',
  },
  {
    pattern: '/topology',
    load: () => import('./features/topology/Topology.svelte'),
    belongs: 'Overview',
  },
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
    pattern: '/services',
    load: () => import('./features/services/Services.svelte'),
    belongs: 'Services',
  },
  {
    pattern: '/services/:name',
    load: () => import('./features/service/Service.svelte'),
    belongs: 'Services',
  },
  {
    pattern: '/traces',
    load: () => import('./features/traces/Traces.svelte'),
    belongs: 'Traces',
  },
  {
    pattern: '/traces/:id',
    load: () => import('./features/trace/Trace.svelte'),
    belongs: 'Traces',
  },
  {
    pattern: '/logs',
    load: () => import('./features/logs/Logs.svelte'),
    belongs: 'Logs',
  },
  {
    pattern: '/drills',
    load: () => import('./features/drills/Drills.svelte'),
    belongs: 'Drills',
  },
  {
    pattern: '/drills/:id',
    load: () => import('./features/drill/Drill.svelte'),
    belongs: 'Drills',
  },
  {
    pattern: '/healing',
    load: () => import('./features/healing/HealingPage.svelte'),
    belongs: 'Healing',
  },
  {
    pattern: '/settings',
    load: () => import('./features/settings/Settings.svelte'),
    belongs: 'Settings',
  },
];

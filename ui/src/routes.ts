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
  { name: 'Overview', path: '/', key: 'o' },
  { name: 'Services', path: '/services', key: 's' },
  { name: 'Drills', path: '/drills', key: 'd' },
  { name: 'Settings', path: '/settings', key: 'e' },
];

export const ROUTES: Route[] = [
  {
    pattern: '/',
    load: () => import('./features/overview/Overview.svelte') as never,
    belongs: 'Overview',
  },
  {
    pattern: '/topology',
    load: () => import('./features/topology/Topology.svelte') as never,
    belongs: 'Overview',
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
  { pattern: '/drills', load: () => import('./features/drills/Drills.svelte'), belongs: 'Drills' },
  {
    pattern: '/drills/:id',
    load: () => import('./features/drill/Drill.svelte'),
    belongs: 'Drills',
  },
  {
    pattern: '/settings',
    load: () => import('./features/settings/Settings.svelte'),
    belongs: 'Settings',
  },
];

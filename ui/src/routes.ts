// All pages. A page is loaded when it is first gone to.

import type { Component } from 'svelte';

export interface Route {
  pattern: string;
  load: () => Promise<{ default: Component<Record<string, string>> }>;
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
];

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
  { name: 'Traces', path: '/traces', key: 't' },
  { name: 'Logs', path: '/logs', key: 'l' },
];

export const ROUTES: Route[] = [
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
];

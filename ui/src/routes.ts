// All pages. They are one script: loaded lazily within it, each module would weigh a tenth more.

import type { Component } from 'svelte';
import Compare from './features/compare/Compare.svelte';
import Drill from './features/drill/Drill.svelte';
import Drills from './features/drills/Drills.svelte';
import HealingPage from './features/healing/HealingPage.svelte';
import IncidentPage from './features/incident/IncidentPage.svelte';
import PlanPage from './features/incident/PlanPage.svelte';
import IncidentsPage from './features/incidents/IncidentsPage.svelte';
import Logs from './features/logs/Logs.svelte';
import Overview from './features/overview/Overview.svelte';
import Service from './features/service/Service.svelte';
import Services from './features/services/Services.svelte';
import Settings from './features/settings/Settings.svelte';
import Topology from './features/topology/Topology.svelte';
import Trace from './features/trace/Trace.svelte';
import Traces from './features/traces/Traces.svelte';

export interface Route {
  pattern: string;
  page: Component<any>;
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
  { pattern: '/', page: Overview, belongs: 'Overview' },
  { pattern: '/topology', page: Topology, belongs: 'Overview' },
  { pattern: '/incidents', page: IncidentsPage, belongs: 'Incidents' },
  { pattern: '/incidents/:id', page: IncidentPage, belongs: 'Incidents' },
  { pattern: '/plans/:id', page: PlanPage, belongs: 'Incidents' },
  { pattern: '/services', page: Services, belongs: 'Services' },
  { pattern: '/services/:name', page: Service, belongs: 'Services' },
  { pattern: '/compare', page: Compare, belongs: 'Services' },
  { pattern: '/traces', page: Traces, belongs: 'Traces' },
  { pattern: '/traces/:id', page: Trace, belongs: 'Traces' },
  { pattern: '/logs', page: Logs, belongs: 'Logs' },
  { pattern: '/drills', page: Drills, belongs: 'Drills' },
  { pattern: '/drills/:id', page: Drill, belongs: 'Drills' },
  { pattern: '/healing', page: HealingPage, belongs: 'Healing' },
  { pattern: '/settings', page: Settings, belongs: 'Settings' },
];

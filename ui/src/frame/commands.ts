// All that the palette can find, made from what is known now.

import { post } from '../api/client';
import { live } from '../api/live.svelte';
import type { IconName } from '../components/Icon.svelte';
import { closest, isTraceId } from '../lib/match';
import { here, linkTo, matchPath } from '../lib/router.svelte';
import { rangeOf, rangeQuery } from '../lib/time';
import { THEMES, theme } from '../lib/theme.svelte';
import { ENTRIES } from '../routes';

export interface Command {
  id: string;
  icon: IconName;
  text: string;
  /** A few words beside it. */
  about?: string;
  /** Goes there, */
  to?: string;
  /** or does this. */
  run?: () => void;
  /** Why it cannot be done now. */
  refused?: string;
}

const MOST = 12;

/** What the frame itself can open. */
export interface Openers {
  freeze: () => void;
  help: () => void;
}

/** The best answers to what was typed, best first. */
export function commandsFor(typed: string, services: string[], open: Openers): Command[] {
  const text = typed.trim();
  const found = closest(text, known(services, open), (command) => command.text, MOST);
  return text === '' ? found : [...exact(text), ...found, ...searches(text)].slice(0, MOST + 2);
}

/** A number or an id can mean one thing only. */
function exact(text: string): Command[] {
  if (isTraceId(text)) {
    const to = `/traces/${text.toLowerCase()}`;
    return [{ id: to, icon: 'find', text: `Trace ${text.toLowerCase()}`, to }];
  }
  const number = /^(incident|drill|plan)?\s*#?(\d+)$/i.exec(text);
  if (number === null) return [];
  const kind = number[1]?.toLowerCase();
  const id = Number(number[2]);
  const commands: Command[] = [];
  if (kind !== 'drill' && kind !== 'plan' && live.incidents?.some((one) => one.id === id)) {
    commands.push({ id: `i${id}`, icon: 'bad', text: `Incident ${id}`, to: `/incidents/${id}` });
  }
  if (kind !== 'incident' && kind !== 'plan' && live.drills?.some((one) => one.id === id)) {
    commands.push({ id: `d${id}`, icon: 'drill', text: `Drill ${id}`, to: `/drills/${id}` });
  }
  if (kind === 'plan' && live.plans?.some((one) => one.id === id)) {
    commands.push({ id: `p${id}`, icon: 'healing', text: `Plan ${id}`, to: `/plans/${id}` });
  }
  return commands;
}

function searches(text: string): Command[] {
  const range = rangeQuery(rangeOf(here.query));
  return [
    {
      id: 'search logs',
      icon: 'find',
      text: `Search logs for ${text}`,
      to: linkTo('/logs', { ...range, query: text }),
    },
  ];
}

function known(services: string[], open: Openers): Command[] {
  return [...waiting(), ...drilling(), ...pages(), ...named(services), ...past(), ...acts(open)];
}

/** What waits for a person comes first. */
function waiting(): Command[] {
  return [
    ...live.waiting.map((plan) => ({
      id: `p${plan.id}`,
      icon: 'healing' as const,
      text: `Approve or deny plan ${plan.id}`,
      about: `for ${plan.target}, incident ${plan.incident}`,
      to: `/incidents/${plan.incident}#plan`,
    })),
    ...live.open.map((incident) => ({
      id: `i${incident.id}`,
      icon: 'bad' as const,
      text: `Incident ${incident.id}: ${incident.title}`,
      about: incident.state,
      to: `/incidents/${incident.id}`,
    })),
  ];
}

function drilling(): Command[] {
  const record = live.running;
  if (!record) return [];
  return [
    {
      id: `d${record.id}`,
      icon: 'drill',
      text: `Drill ${record.id}: ${record.drill.experiment.title}`,
      about: 'running',
      to: `/drills/${record.id}`,
    },
    {
      id: 'stop drill',
      icon: 'drill',
      text: `Stop and undo drill ${record.id}`,
      run: () => void post(`/api/v1/drills/${record.id}/stop`).finally(() => live.ask()),
      refused: live.refusal('admin'),
    },
  ];
}

function pages(): Command[] {
  const service = matchPath('/services/:name', here.path)?.name;
  return [
    ...ENTRIES.map((entry) => ({
      id: entry.path,
      icon: 'page' as const,
      text: `Go to ${entry.name}`,
      about: `G ${entry.key.toUpperCase()}`,
      to: entry.path,
    })),
    {
      id: '/compare',
      icon: 'page',
      text: 'Compare two times or versions',
      about: service ?? 'all services',
      to: linkTo('/compare', { ...rangeQuery(rangeOf(here.query)), service }),
    },
  ];
}

function named(services: string[]): Command[] {
  return services.map((name) => ({
    id: `s ${name}`,
    icon: 'service',
    text: name,
    about: 'service',
    to: `/services/${encodeURIComponent(name)}`,
  }));
}

function past(): Command[] {
  const over = (live.incidents ?? []).filter((incident) => incident.state === 'resolved');
  const done = (live.drills ?? []).filter((record) => record.drill.phase === 'done');
  return [
    ...over.map((incident) => ({
      id: `i${incident.id}`,
      icon: 'ok' as const,
      text: `Incident ${incident.id}: ${incident.title}`,
      about: 'resolved',
      to: `/incidents/${incident.id}`,
    })),
    ...done.map((record) => ({
      id: `d${record.id}`,
      icon: 'drill' as const,
      text: `Drill ${record.id}: ${record.drill.experiment.title}`,
      about: record.scorecard?.passed ? 'passed' : record.drill.abort ? 'aborted' : 'failed',
      to: `/drills/${record.id}`,
    })),
  ];
}

function acts(open: Openers): Command[] {
  const frozen = live.status?.frozen;
  return [
    {
      id: 'freeze',
      icon: 'snow',
      text: frozen ? 'Thaw healing' : 'Freeze healing',
      run: open.freeze,
      refused: live.refusal(frozen ? 'admin' : 'approve'),
    },
    {
      id: 'new drill',
      icon: 'drill',
      text: 'Start a drill',
      to: '/drills?new=file',
      refused: live.refusal('admin'),
    },
    { id: 'keys', icon: 'find', text: 'Show the keys', about: '?', run: open.help },
    ...THEMES.filter((one) => one !== theme.now).map((one) => ({
      id: `theme ${one}`,
      icon: 'page' as const,
      text: one === 'system' ? 'Theme as the system has it' : `Theme ${one}`,
      run: () => theme.choose(one),
    })),
  ];
}

// Are users well, and does anything need me: one sentence of at most two clauses, and a few more
// behind it. Trouble comes first, then doubt; "all quiet" is said only where nothing is missing,
// because absence of data is no proof of health. `immune status` says the same words.

import { count, duration, listed } from './format';
import { clock, millis } from './time';

export type Tone = 'well' | 'risk' | 'hurt' | 'unknown';

export interface Headline {
  sentence: string;
  /** Sentences that follow, most important first; may be empty. */
  lead: string[];
  tone: Tone;
}

/** How a node of the topology fares, as the API says it. */
export type NodeState =
  'hurt' | 'healing' | 'at_risk' | 'no_data' | 'learning' | 'no_traffic' | 'well';

/** What is read of the API's answers. */
export interface Facts {
  status: {
    now: string;
    started: string;
    healing_mode: string;
    frozen?: { by: string; reason: string } | null;
    catching_up_until?: string | null;
    /** When telemetry was accepted last. */
    last_telemetry?: string | null;
  };
  nodes: { name: string; state: NodeState; since?: string | null }[];
  incidents: IncidentFacts[];
  plans: PlanFacts[];
  objectives: { health: string }[];
}

export interface IncidentFacts {
  id: number;
  state: string;
  title: string;
  opened: string;
  mitigated?: string | null;
  resolved?: string | null;
  needs_human: string;
  symptoms: { severity: string }[];
  causes: { kind: string; confidence: number; summary: string }[];
}

export interface PlanFacts {
  id: number;
  incident: number;
  target: string;
  kind: unknown;
  state: string;
}

/** Telemetry that is older proves nothing. */
export const STALE_AFTER_S = 30;
const SENTENCE_CHARS_MAX = 90;
/** Below this the engine does not name a cause either. */
const CONFIDENCE_MIN = 0.5;

export function headline(facts: Facts): Headline {
  const { status, nodes } = facts;
  const now = millis(status.now);
  const age = heardAge(facts, now);
  const of = (state: NodeState) => nodes.filter((node) => node.state === state);
  const say = (sentence: string, tone: Tone, more: string[] = []): Headline => ({
    sentence,
    tone,
    lead: [...more, ...behind(facts, tone, age)],
  });

  if (age === null && nodes.length === 0)
    return { sentence: 'Waiting for the first telemetry', lead: [], tone: 'unknown' };
  const open = worst(facts.incidents, 'open');
  if (open) {
    const { sentence, because } = trouble(facts, open);
    return say(sentence, pages(open) ? 'hurt' : 'risk', because);
  }
  if (catchingUp(facts, now))
    return say(
      `Catching up until ${clock(status.catching_up_until!)}; paging and healing rest`,
      'unknown',
    );
  if (age !== null && age > STALE_AFTER_S)
    return say(`No telemetry for ${duration(age)}: how users fare is not known`, 'unknown');
  const mitigated = worst(facts.incidents, 'mitigated');
  if (mitigated) {
    const since = clock(mitigated.mitigated ?? mitigated.opened);
    return say(`Users are well again since ${since}; incident ${mitigated.id} is watched`, 'risk');
  }
  const silent = of('no_data');
  if (silent.length > 0) return say(silence(silent, now), 'unknown');
  const risky = of('at_risk');
  if (risky.length > 0)
    return say(`No user is hurt; ${names(risky)} ${is(risky.length)} at risk`, 'risk');
  if (nodes.length === 0)
    return say('Telemetry arrives, but no request has been seen yet', 'unknown');
  if (of('well').length === 0 && of('healing').length === 0)
    return of('learning').length > 0
      ? say('Learning what is normal; nothing is judged yet', 'unknown')
      : say('No requests to any service: how users fare is not known', 'unknown');
  return say(`All quiet for ${whole((now - quietSince(facts)) / 1000)}`, 'well');
}

/** What users feel, and what is being done. */
function trouble(facts: Facts, incident: IncidentFacts): { sentence: string; because: string[] } {
  const title = incident.title.replace(/^ticket: /, '').replace(/\.$/, '');
  const more = facts.incidents.filter((other) => other.state === 'open').length - 1;
  const plans = facts.plans.filter((plan) => plan.incident === incident.id);
  plans.sort((a, b) => b.id - a.id);
  const doing = plans.map(progress).find((words) => words !== undefined);
  const then =
    doing ??
    (incident.needs_human !== ''
      ? 'a person is needed'
      : more > 0
        ? `${more} more ${more === 1 ? 'incident is' : 'incidents are'} open`
        : undefined);
  const sentence = then === undefined ? title : `${title}; ${then}`;
  const harm = title.split(/ because |; cause unknown/)[0]!;
  if (then === undefined || sentence.length <= SENTENCE_CHARS_MAX || harm === title)
    return { sentence, because: [] };
  return { sentence: `${harm}; ${then}`, because: [cause(incident)] };
}

function cause(incident: IncidentFacts): string {
  const first = incident.causes[0];
  if (first === undefined || first.kind === 'unknown' || first.confidence < CONFIDENCE_MIN)
    return 'The cause is unknown.';
  const summary = first.summary.replace(/\.$/, '');
  return `${summary}, ${Math.round(first.confidence * 100)}\u202f% sure.`;
}

/** What becomes of a plan, where that is worth a clause. */
function progress(plan: PlanFacts): string | undefined {
  const words: Record<string, string> = {
    awaiting_approval: 'waits for your approval',
    running: 'is under way',
    verifying: 'is done and being watched',
    undoing: 'did not help and is being undone',
    held: 'waits',
    backing_off: 'waits',
    dry_run: 'is only shown: healing is a dry run',
  };
  const word = words[plan.state];
  return word && `${deed(plan.kind, plan.target)} ${word}`;
}

/** An action as a noun: `the restart of payment-1`. */
export function deed(kind: unknown, target: string): string {
  const [name, parameters] =
    typeof kind === 'string'
      ? [kind, {}]
      : (Object.entries(kind as Record<string, Record<string, string>>)[0] ?? ['', {}]);
  const given = (parameter: string) =>
    (parameters as Record<string, string>)[parameter]?.replaceAll('_', '-') ?? '';
  switch (name) {
    case 'restart':
      return `the restart of ${target}`;
    case 'rollback':
      return `the rollback of ${target}`;
    case 'eject':
      return `the ejection of ${target}`;
    case 'return':
      return `the return of ${target}`;
    case 'run_command':
      return `command ${(parameters as Record<string, string>).command} on ${target}`;
    case 'signal':
      return `SIG${given('signal').toUpperCase()} to ${target}`;
    case 'http_request':
      return `request ${(parameters as Record<string, string>).request} for ${target}`;
    case 'terminate_blocker':
      return `ending the blocker of ${target}`;
    case 'clear_path':
      return `clearing ${(parameters as Record<string, string>).path} of ${target}`;
    case 'container':
    case 'systemd':
      return `the ${given('operation')} of ${target}`;
    case 'container_limits':
      return `limits ${(parameters as Record<string, string>).limits} for ${target}`;
    default:
      return `${name.replaceAll('_', ' ')} of ${target}`;
  }
}

function silence(silent: Facts['nodes'], now: number): string {
  const known = silent.flatMap((node) => (node.since ? [now - millis(node.since)] : []));
  const spell = known.length > 0 ? ` for ${duration(Math.min(...known) / 1000)}` : '';
  const who =
    silent.length === 1 ? `${silent[0]!.name} has` : `${count(silent.length)} services have`;
  return `No incident, but ${who} sent nothing${spell}`;
}

/** What else counts. */
function behind(facts: Facts, tone: Tone, age: number | null): string[] {
  const { nodes, status } = facts;
  const lead: string[] = [];
  const of = (state: NodeState) => nodes.filter((node) => node.state === state);
  if (nodes.length > 0) lead.push(wellOf(of('well').length, nodes.length));
  const told = (state: NodeState, words: (they: string) => string) => {
    const those = of(state);
    if (those.length > 0) lead.push(`${names(those)} ${words(is(those.length))}.`);
  };
  told('healing', (they) => `${they} well again and being watched`);
  const silent = of('no_data');
  if (silent.length > 0) {
    const have = silent.length === 1 ? 'has' : 'have';
    lead.push(`${names(silent)} ${have} sent nothing lately: that is not taken for health.`);
  }
  if (tone === 'hurt' || tone === 'well') told('at_risk', (they) => `${they} at risk`);
  told('learning', (they) => `${they} still being learned`);
  if (tone === 'well') {
    const met = facts.objectives.filter((objective) => objective.health === 'well').length;
    if (met > 0) lead.push(`${count(met)} ${met === 1 ? 'objective is' : 'objectives are'} met.`);
  }
  if (tone === 'hurt' && age !== null && age > STALE_AFTER_S)
    lead.push(`Nothing was heard for ${duration(age)}.`);
  if (status.frozen) {
    const why = status.frozen.reason === '' ? '' : `: ${status.frozen.reason}`;
    lead.push(`Healing is frozen by ${status.frozen.by}${why.replace(/\.$/, '')}.`);
  }
  return lead;
}

function wellOf(well: number, all: number): string {
  if (all === 1) return well === 1 ? 'The one service is well.' : '0 of 1 service is well.';
  if (well === all) return `All ${count(all)} services and dependencies are well.`;
  return `${count(well)} of ${count(all)} services and dependencies ${is(well)} well.`;
}

/** Seconds since telemetry came; null when none ever did. */
function heardAge(facts: Facts, now: number): number | null {
  const last = facts.status.last_telemetry;
  return last ? Math.max(0, (now - millis(last)) / 1000) : null;
}

function catchingUp(facts: Facts, now: number): boolean {
  const until = facts.status.catching_up_until;
  return until !== null && until !== undefined && millis(until) > now;
}

/** Since when no incident was there, as far as is known. */
function quietSince(facts: Facts): number {
  const ends = facts.incidents.flatMap((one) => (one.resolved ? [millis(one.resolved)] : []));
  return Math.max(millis(facts.status.started), ...ends);
}

/** From a minute on without seconds: a sentence that ticks is not calm. */
function whole(seconds: number): string {
  return duration(seconds < 60 ? seconds : seconds - (seconds % 60));
}

/** What pages before what does not, then the newest. */
export function worst<T extends IncidentFacts>(incidents: T[], state: string): T | undefined {
  return incidents
    .filter((incident) => incident.state === state)
    .toSorted((a, b) => Number(pages(b)) - Number(pages(a)) || b.id - a.id)[0];
}

export function pages(incident: { symptoms: { severity: string }[] }): boolean {
  return incident.symptoms.some((symptom) => symptom.severity === 'page');
}

function names(nodes: { name: string }[]): string {
  return listed(nodes.map((node) => node.name));
}

function is(amount: number): string {
  return amount === 1 ? 'is' : 'are';
}

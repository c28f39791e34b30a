// An incident in words: the sentence that answers why and how bad, and what stands around it.
//
// Cause first, then what users feel. Nothing is said here that the incident does not hold.

import { ABSENT, count, duration, percent, took, THIN } from './format';
import { entityName } from './naming';
import { millis } from './time';
import type { IconName } from '../components/Icon.svelte';
import type { Cause, Incident, ObjectiveState, Symptom } from '../api/schema';

/** Below this the engine names no cause. */
export const SURE_ENOUGH = 0.5;

/** The first cause, where it is named. */
export function namedCause(incident: Incident): Cause | undefined {
  const first = incident.causes[0];
  const named = first && first.kind !== 'unknown' && first.confidence >= SURE_ENOUGH;
  return named ? first : undefined;
}

/** The symptom that tells of the harm best: pages before tickets, firing before over, then most. */
export function worstSymptom(incident: Incident): Symptom | undefined {
  const rank = (symptom: Symptom, index: number) =>
    (symptom.severity === 'page' ? 4 : 0) + (incident.firing.includes(index) ? 2 : 0);
  const ranked = incident.symptoms.map((symptom, index) => ({
    symptom,
    rank: rank(symptom, index),
  }));
  ranked.sort((a, b) => b.rank - a.rank || b.symptom.bad - a.symptom.bad);
  return ranked[0]?.symptom;
}

export function isPage(incident: Incident): boolean {
  return incident.symptoms.some((symptom) => symptom.severity === 'page');
}

/** When users were well again; now while they are not. */
export function hurtUntil(incident: Incident, now: number): number {
  const end = incident.mitigated ?? incident.resolved;
  return end && incident.state !== 'open' ? millis(end) : now;
}

/** Since when users are hurt this time: an incident that was opened again began long before. */
export function hurtSince(incident: Incident): number {
  const firing = incident.firing.flatMap((index) => incident.symptoms[index] ?? []);
  const onsets = firing.map((symptom) => millis(symptom.onset));
  return incident.state === 'open' && onsets.length > 0
    ? Math.min(...onsets)
    : millis(incident.onset);
}

/** `payment-1 crashed; storefront fails 48 % of requests`. */
export function headline(incident: Incident): string {
  const symptom = worstSymptom(incident);
  const cause = namedCause(incident);
  if (!symptom) return incident.title;
  const over = incident.state !== 'open';
  const harm = harmWords(symptom, over);
  return cause
    ? `${upper(causeWords(cause, over), cause)}; ${harm}`
    : `${incident.causes.length > 0 ? 'Cause unknown' : 'Cause not known yet'}: ${harm}`;
}

/** Names stay as telemetry writes them; words begin with a capital. */
function upper(words: string, { entity }: Cause): string {
  if (words.startsWith(entityName(entity))) return words;
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What was changed, of a cause's summary: `deploy of cart (version v1 -> v2)`. */
function changeWords({ summary }: Cause): string {
  const found = /^.*?\)/.exec(summary);
  return (found?.[0] ?? summary).replace('->', '→');
}

/** The state change that is blamed, as a clause. */
export function causeWords(cause: Cause, over = false): string {
  const name = entityName(cause.entity);
  switch (cause.kind) {
    case 'crash':
      return `${name} crashed`;
    case 'silent':
      return `${name} went silent`;
    case 'leak':
      return `the memory of ${name} only ${over ? 'grew' : 'grows'}`;
    case 'dependency_down':
      return `${name} ${over ? 'did' : 'does'} not answer`;
    case 'change':
      return `${changeWords(cause)} ${over ? 'hurt' : 'hurts'}`;
    case 'lock':
      return `a transaction in ${name} ${over ? 'blocked' : 'blocks'} others`;
    case 'disk':
      return `a disk of ${name} ${over ? 'had' : 'has'} no room`;
    case 'unknown':
      return 'cause unknown';
    default:
      return cause.summary.replace(/\.$/, '');
  }
}

/** Share of bad requests: while it lasts of now, afterwards of the whole time. */
function badShare(symptom: Symptom, over: boolean): number {
  return over && symptom.total > 0 ? symptom.bad / symptom.total : symptom.measured;
}

/** What users feel, as a clause. */
export function harmWords(symptom: Symptom, over: boolean): string {
  const name = entityName(symptom.entity);
  switch (symptom.kind) {
    case 'availability_burn':
      return `${name} ${over ? 'failed' : 'fails'} ${percent(badShare(symptom, over))} of requests`;
    case 'latency_burn':
      if (symptom.unit === 'seconds')
        return `${name} ${over ? 'took' : 'takes'} ${took(symptom.measured)}, limit ${took(symptom.threshold)}`;
      return `${name} ${over ? 'was' : 'is'} too slow for ${percent(badShare(symptom, over))} of requests`;
    case 'probe_failing':
      return `probe ${symptom.source} of ${name} ${over ? 'failed' : 'fails'}`;
    case 'stalled':
      return `${name} ${over ? 'did' : 'does'} not finish requests`;
    case 'absent_traffic':
      return `${name} ${over ? 'got' : 'gets'} no requests any more`;
    case 'certificate':
      return `the certificate of ${name} ${over ? 'was renewed' : 'is about to expire'}`;
    case 'exhaustion':
      return `${symptom.source} of ${name} ${over ? 'was to be' : 'is'} used up before long`;
    case 'blind':
      return `${name} ${over ? 'was' : 'is'} not heard any more, though it serves`;
    case 'alert':
      return `alert ${symptom.source} of ${name} ${over ? 'fired' : 'fires'}`;
  }
}

export interface Figure {
  label: string;
  value: string;
  about: string;
  bad?: boolean;
  /** Where to read what to do about it. */
  href?: string;
}

/** Alerts of other systems that are shown beside what was measured. */
const ALERTS_SHOWN = 3;

/** How bad: what users feel, how much was lost, what is left of the budget, who is hurt. */
export function impactFigures(
  incident: Incident,
  objectives: ObjectiveState[],
  now: number,
): Figure[] {
  const symptom = worstSymptom(incident);
  if (!symptom) return [];
  const over = incident.state !== 'open';
  const objective = objectives.find(
    (o) => o.source === symptom.source && entityName(o.entity) === entityName(symptom.entity),
  );
  const { bad_requests, requests, services } = incident.impact;
  const seconds = (hurtUntil(incident, now) - hurtSince(incident)) / 1000;
  const figures: Figure[] = [felt(symptom, over, objective)];
  const alerts = incident.symptoms.filter((one) => one.kind === 'alert' && one !== symptom);
  figures.push(...alerts.slice(0, ALERTS_SHOWN).map((alert) => felt(alert, over)));
  if (requests > 0) {
    const aMinute = seconds >= 60 ? `, ${count((bad_requests / seconds) * 60)} a minute` : '';
    figures.push({
      label: over ? 'Requests lost' : 'Lost so far',
      value: `${count(bad_requests)} requests`,
      about: `of ${count(requests)} at ${entityName(symptom.entity)}${aMinute}`,
    });
  }
  const burn = objective?.burn[0];
  if (objective && !over && burn !== null && burn !== undefined) {
    figures.push({
      label: 'Error budget, 3 days',
      value: `${burn >= 10 ? count(burn) : burn.toFixed(1)}× burn`,
      about: budgetWords(objective.budget_left, burn),
    });
  } else if (objective && typeof objective.budget_left === 'number') {
    figures.push({
      label: 'Error budget, 3 days',
      value: `${percent(Math.max(0, objective.budget_left))} left`,
      about: objective.budget_left < 0 ? 'overdrawn' : `objective ${percent(objective.objective)}`,
    });
  }
  figures.push({
    label: over ? 'Users were hurt for' : 'Users are hurt for',
    value: duration(seconds),
    about:
      services.length === 0
        ? ABSENT
        : `at ${services.map(entityName).slice(0, 3).join(', ')}${services.length > 3 ? ` and ${services.length - 3} more` : ''}`,
  });
  return figures;
}

function felt(symptom: Symptom, over: boolean, objective?: ObjectiveState): Figure {
  const name = entityName(symptom.entity);
  const goal = objective
    ? `objective ${percent(objective.objective)}`
    : symptom.unit === 'ratio'
      ? `limit ${percent(symptom.threshold)}`
      : '';
  const traffic =
    !over && objective && objective.requests_1m > 0
      ? ` · ${count(objective.requests_1m)} requests in 1${THIN}min`
      : '';
  const waits = !['blind', 'exhaustion', 'certificate'].includes(symptom.kind);
  if (symptom.unit === 'seconds' && waits) {
    return {
      label: `Users wait at ${name}`,
      value: took(symptom.measured),
      about: `limit ${took(symptom.threshold)}${traffic}`,
      bad: !over,
    };
  }
  const share = percent(badShare(symptom, over));
  switch (symptom.kind) {
    case 'availability_burn':
      return {
        label: `Requests to ${name} that ${over ? 'failed' : 'fail'}`,
        value: share,
        about: goal + traffic,
        bad: !over,
      };
    case 'latency_burn':
      return {
        label: `Requests to ${name} that ${over ? 'were' : 'are'} too slow`,
        value: share,
        about: `${objective?.threshold_seconds ? `over ${took(objective.threshold_seconds)} · ` : ''}${goal}`,
        bad: !over,
      };
    case 'probe_failing':
      return {
        label: `Probe ${symptom.source}`,
        value: over ? 'failed' : 'fails',
        about: name,
        bad: !over,
      };
    case 'stalled':
      return { label: name, value: 'does not finish requests', about: goal, bad: !over };
    case 'absent_traffic':
      return { label: name, value: 'no requests', about: goal, bad: !over };
    case 'certificate':
      return {
        label: `Certificate of ${name}`,
        value: over ? 'renewed' : `expires in ${duration(symptom.measured)}`,
        about: `probe ${symptom.source}`,
      };
    case 'exhaustion':
      return {
        label: `${symptom.source} of ${name}`,
        value: over ? 'has room again' : `used up in ${duration(symptom.measured)}`,
        about: 'at the pace of now',
      };
    case 'blind':
      return { label: name, value: over ? 'was not heard' : 'is not heard', about: 'it serves' };
    case 'alert':
      return {
        label: `Alert ${symptom.source}`,
        value: over ? 'fired' : 'fires',
        about: symptom.summary,
        bad: !over,
        href: symptom.runbook_url || undefined,
      };
  }
}

/** Three days' budget at this burn. */
function budgetWords(left: number | null | undefined, burn: number): string {
  if (left === null || left === undefined) return 'of three days';
  if (left <= 0) return 'none left';
  const gone = burn > 0 ? `, gone in ${duration((left * 3 * 86_400) / burn)}` : '';
  return `${percent(left)} left${burn > 1 ? gone : ''}`;
}

/** The shape and colour of a line of the timeline, by how the engine begins it. */
export function timelineIcon(text: string): { icon: IconName; tone: string } {
  const rules: [RegExp, IconName, string][] = [
    [/^symptom raised|hurt again/, 'bad', 'bad'],
    [/^symptom got worse/, 'risk', 'risk'],
    [/^(acknowledged|closed)/, 'person', 'two'],
    [/^approve or deny|^plan \d+.*(approved by|denied)/, 'person', 'two'],
    [/^plan \d+.*(verified:)/, 'ok', 'two'],
    [/^plan \d+.*(given up|refused|held:|takes back|taken back)/, 'risk', 'risk'],
    [/^plan \d+.*awaits approval/, 'pause', 'two'],
    [/^plan \d+/, 'healing', 'healing'],
    [/^symptom cleared|well again|^resolved/, 'ok', 'two'],
    [/^cause|cause unknown/, 'find', 'two'],
    [/^(deploy|configuration|flag|scale|restart) of/, 'change', ''],
  ];
  const found = rules.find(([rule]) => rule.test(text));
  return found ? { icon: found[1], tone: found[2] } : { icon: 'right', tone: 'dim' };
}

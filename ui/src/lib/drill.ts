// What a drill and its scorecard tell, as pages show it: stages, proofs, times, words.

import type { DrillRecord, Experiment, Fault, Incident, Plan, Scorecard } from '../api/schema';
import { duration, THIN } from './format';
import { millis } from './time';

const FAULTS: Record<string, string> = {
  kill_process: 'Process killed',
  pause_process: 'Process paused',
  cpu: 'Processors busy',
  memory: 'Memory taken',
  disk_fill: 'Disk full',
  file_descriptors: 'No file descriptors',
  partition: 'Partition',
  packet_loss: 'Packet loss',
  tcp: 'TCP late or cut',
  http: 'HTTP faults',
  dns: 'DNS wrong or late',
  toxiproxy: 'Toxics on a proxy',
  container: 'Container hurt',
  clock: 'Clock skewed',
  command: 'Declared fault',
  placebo: 'Placebo',
};

/** A kind of fault as people read it. */
export function faultName(kind: string): string {
  return FAULTS[kind] ?? kind.replaceAll('_', ' ');
}

/** `kill_process`, `tcp`; `placebo` without one. */
export function faultKind(fault: Fault | null | undefined): string {
  if (fault === null || fault === undefined) return 'placebo';
  return typeof fault === 'string' ? fault : (Object.keys(fault)[0] ?? 'placebo');
}

/** The parameters of a fault: `port 7811, latency 2s`. Empty where it has none. */
export function faultDetails(fault: Fault | null | undefined): string {
  if (fault === null || fault === undefined || typeof fault === 'string') return '';
  const given: unknown = Object.values(fault)[0];
  if (typeof given !== 'object' || given === null) return String(given ?? '');
  return Object.entries(given)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${said(value)}`)
    .join(', ');
}

function said(value: unknown): string {
  if (Array.isArray(value)) return value.map(said).join(' ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Seconds of a duration as files have it: `1m30s`, `250ms`. */
export function humanSeconds(text: string): number {
  const unit: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400 };
  let seconds = 0;
  for (const [, number, name] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    seconds += Number(number) * unit[name!]!;
  }
  return seconds;
}

export type Mark = 'passed' | 'failed' | 'stale' | 'none';

/** Did it come to a result? A drill that was stopped, or whose fault took no effect, did not. */
export function hasResult(card: Scorecard | null | undefined): card is Scorecard {
  if (!card) return false;
  return card.passed || !(card.aborted || card.took_effect === false);
}

/** Proof squares: noticed, cause named, healed; or what is right instead of that. */
export function proofs(card: Scorecard): [Mark, Mark, Mark] {
  const mark = (good: boolean | null | undefined): Mark =>
    good === null || good === undefined ? 'none' : good ? 'passed' : 'failed';
  if (card.decision_expected === 'leave_alone') {
    const quiet = card.false_pages === 0;
    return [mark(quiet), mark(quiet), mark(card.decision_right)];
  }
  const noticed = card.incident !== null && card.incident !== undefined;
  const cause = noticed ? card.cause_first : null;
  if (card.decision_expected === 'escalate') {
    return [mark(noticed), mark(cause), mark(noticed ? card.decision_right : null)];
  }
  const healed =
    card.decision_right === true &&
    card.verified_at !== null &&
    card.verified_at !== undefined &&
    (card.healed === null || card.healed === undefined || card.healed === 'by_action');
  return [mark(noticed), mark(cause), mark(noticed ? healed : null)];
}

/** The first thing that went wrong, in two words. */
export function shortFailure(card: Scorecard): string {
  if (card.aborted) return 'aborted';
  if (card.took_effect === false) return 'no effect';
  if (card.decision_expected === 'leave_alone') {
    return card.false_pages > 0 ? 'false page' : 'acted in vain';
  }
  if (card.incident === null || card.incident === undefined) return 'undetected';
  if (card.cause_first === false) return 'wrong cause';
  if (card.decision_right === false) return `chose to ${words(card.decision)}`;
  if (card.healed === 'only_because_it_ended') return 'fault ended';
  if (card.healed === 'not_healed') return 'not healed';
  if (card.healed === 'no_harm') return 'nobody hurt';
  if (card.verified_at === null || card.verified_at === undefined) return 'unverified';
  return card.false_pages > 0 ? 'false page' : 'failed';
}

/** `leave_alone` as it is read. */
export function words(name: string | null | undefined): string {
  return (name ?? 'nothing').replaceAll('_', ' ');
}

export interface Times {
  effective?: number;
  harmed?: number;
  detected?: number;
  cause?: number;
  acted?: number;
  /** Users were well again: by their own log, or else by the verified recovery. */
  well?: number;
  verified?: number;
  undone?: number;
}

/** What the drill told first of its incident's `cause`, or of a `symptom raised`: when, and what. */
export function told(record: DrillRecord, what: string): { at: string; text: string } | undefined {
  const begin = new RegExp(`^incident \\d+: ${what}: `);
  const line = record.drill.progress.find(([, text]) => begin.test(text));
  return line && { at: line[0], text: line[1].replace(begin, '') };
}

/** Seconds from the moment at which the fault took effect; `effective` from the injection. */
export function times(record: DrillRecord): Times {
  const card = record.scorecard;
  const begun = card?.effective_at ?? card?.injected_at;
  if (!card || !begun) return {};
  const from = millis(begun);
  const since = (at: string | null | undefined) => (at ? (millis(at) - from) / 1_000 : undefined);
  const byLog = card.healed === 'by_action' ? card.last_harm_at : undefined;
  return {
    effective: card.injected_at ? (from - millis(card.injected_at)) / 1_000 : undefined,
    harmed: since(card.first_harm_at),
    detected: since(card.detected_at),
    cause: since(told(record, 'cause')?.at),
    acted: since(card.acted_at),
    well: since(byLog ?? card.verified_at),
    verified: since(card.verified_at),
    undone: since(card.undone_at),
  };
}

/** The value below which a share `q` of them lies (nearest rank); undefined of none. */
export function quantile(values: number[], q: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
}

/** The incident that a drill is about: the first since its beginning that hurts what it may hurt. */
export function ownIncident(record: DrillRecord, incidents: Incident[]): Incident | undefined {
  const scored = record.scorecard?.incident;
  if (scored !== null && scored !== undefined) return incidents.find((one) => one.id === scored);
  if (record.scorecard) return undefined;
  const { experiment, struck } = record.drill;
  if (!struck || experiment.expect.decision === 'leave_alone') return undefined;
  const from = millis(struck);
  return incidents.findLast(
    (one) =>
      (millis(one.opened) >= from || !one.resolved || millis(one.resolved) > from) &&
      one.impact.services.some((service) =>
        experiment.blast_radius.services.includes(service.name),
      ),
  );
}

/** The newest plan for an incident that was made, or acted, in the drill's time. */
export function ownPlan<P extends Plan>(
  record: DrillRecord,
  incident: number,
  plans: P[],
): P | undefined {
  const from = millis(record.drill.started);
  const to = record.drill.phase === 'done' ? millis(record.drill.since) : Infinity;
  const within = (at: string) => millis(at) >= from && millis(at) <= to;
  return plans.find(
    (plan) =>
      plan.incident === incident &&
      (within(plan.created) || plan.attempts.some((attempt) => within(attempt.ordered))),
  );
}

/** The time in which the fault was there, for charts. */
export function drillWindows({ fault }: DrillRecord) {
  if (!fault.effective_at) return [];
  const to = fault.undone_at ? millis(fault.undone_at) : undefined;
  return [{ from: millis(fault.effective_at), to, label: 'the fault' }];
}

/** What Immune noticed and did, for charts. */
export function drillMarks(record: DrillRecord) {
  const card = record.scorecard;
  const detected = card?.detected_at ?? told(record, 'symptom raised')?.at;
  const moments = [
    [detected, 'detected'],
    [card?.acted_at, 'acted'],
  ] as const;
  return moments.flatMap(([at, label]) => (at ? [{ at: millis(at), label, blamed: true }] : []));
}

/** How many are proven, and what is not: the sentence that a page of drills answers with. */
export function provenWords(
  matrix: {
    passing: number;
    covered: number;
    combinations: number;
    cells: { fault: string; target: string; last_passed: boolean; stale: boolean }[];
    targets: string[];
  },
  limit = 90,
): string {
  if (matrix.combinations === 0) return 'Nothing can be drilled yet: no target is configured';
  const proven = `${matrix.passing} of ${matrix.combinations} faults are proven survived`;
  const failed = matrix.cells.filter((cell) => !cell.stale && !cell.last_passed);
  const fresh = new Set(matrix.cells.filter((cell) => !cell.stale).map((cell) => cell.target));
  const untried = matrix.targets.filter((target) => !fresh.has(target));
  const join = (names: string[]) =>
    names.length < 3 ? names.join(' and ') : `${names.length} of ${matrix.targets.length} targets`;
  const tails = [
    failed.length > 2 ? `${failed.length} failed the last time` : '',
    failed.length > 0 && failed.length <= 2
      ? `${failed.map((cell) => `${faultName(cell.fault).toLowerCase()} at ${cell.target}`).join(' and ')} failed`
      : '',
    failed.length > 0 ? `${failed.length} failed the last time` : '',
    untried.length > 0
      ? `${join(untried)} ${untried.length === 1 ? 'is' : 'are'} unproven`
      : `${matrix.combinations - matrix.covered} are untried`,
  ];
  if (matrix.covered === 0) return `Nothing is proven yet: ${proven}`;
  const fits = tails.find((tail) => tail !== '' && proven.length + tail.length + 2 <= limit);
  return fits ? `${proven}; ${fits}` : proven;
}

/** An experiment as a file to begin with: JSON, which is YAML, without what says nothing. */
export function experimentText(experiment: Experiment): string {
  return JSON.stringify(experiment, (_, value: unknown) => value ?? undefined, 2);
}

/** The same without its fault: everything but that, to see that nothing is found where nothing is. */
export function placeboText(file: string): string {
  return file
    .split('\n')
    .filter((line) => !line.startsWith('fault:'))
    .map((line) => {
      if (line.startsWith('title:')) return 'title: "placebo: nothing is done"';
      if (line.startsWith('expect:')) return 'expect: {decision: leave_alone}';
      return line;
    })
    .join('\n');
}

/** `12${thin}s` of 30. */
export function ofSeconds(seconds: number, all: number): string {
  return `${Math.max(0, Math.round(seconds))} of ${Math.round(all)}${THIN}s`;
}

/** A duration in its largest unit alone: `4 min`, `9 d`. */
export function coarse(seconds: number): string {
  return duration(seconds).split(' ')[0]!;
}

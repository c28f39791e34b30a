// How far a drill has come: its stages in their order, each with its time and what is known of it.
// A running drill tells of what Immune has done so far; what is right is said when it is over.

import type { DrillRecord, Incident, Plan, Scorecard } from '../api/schema';
import { faultDetails, faultKind, faultName, humanSeconds, ofSeconds, told, words } from './drill';
import { ABSENT, listed, took } from './format';
import { millis } from './time';

export type StageState = 'done' | 'now' | 'todo' | 'failed';

export interface Stage {
  name: string;
  value: string;
  note: string;
  state: StageState;
  /** The shape of what it is about. */
  icon: 'ok' | 'drill' | 'healing' | 'person' | 'bad' | 'pause' | 'nodata';
}

interface Seen {
  record: DrillRecord;
  incident: Incident | undefined;
  plan: Plan | undefined;
  /** Milliseconds since 1970. */
  now: number;
}

/** The stages that the expected decision has. One is under way; what comes after it is to come. */
export function stagesOf(seen: Seen): Stage[] {
  const stages = all(seen);
  const now = stages.findIndex((one) => one.state === 'now');
  return stages.map((one, index) =>
    one.state === 'now' && index > now
      ? { ...one, state: 'todo', icon: 'nodata', value: ABSENT, note: '' }
      : one,
  );
}

function all(seen: Seen): Stage[] {
  const { experiment } = seen.record.drill;
  const begin = [steady(seen), fault(seen)];
  const end = undo(seen);
  switch (experiment.expect.decision) {
    case 'leave_alone':
      return [...begin, leftAlone(seen), end];
    case 'escalate':
      return [...begin, detected(seen), cause(seen), called(seen), end];
    case 'heal':
      return [...begin, detected(seen), cause(seen), acted(seen), held(seen), end];
  }
}

function stage(name: string, state: StageState, icon: Stage['icon'], value: string, note = '') {
  const shape = state === 'failed' ? 'bad' : state === 'todo' ? 'nodata' : icon;
  return { name, state, icon: shape, value, note } satisfies Stage;
}

function isOver({ record }: Seen): boolean {
  return record.drill.phase === 'done';
}

/** When the fault took effect; of a placebo, when watching began. */
function effective({ record }: Seen): number | undefined {
  const { drill, fault } = record;
  const at = drill.experiment.fault ? fault.effective_at : drill.struck;
  return at ? millis(at) : undefined;
}

function since(seen: Seen, at: string): string {
  const begun = effective(seen);
  return begun === undefined ? ABSENT : took((millis(at) - begun) / 1_000);
}

/** A stage that comes by itself: what it says while it is waited for, and when it never came. */
function awaited(seen: Seen, name: string, missed: string): Stage {
  const begun = effective(seen);
  if (isOver(seen))
    return stage(name, begun ? 'failed' : 'todo', 'bad', ABSENT, begun ? missed : '');
  if (begun === undefined) return stage(name, 'todo', 'nodata', ABSENT);
  return stage(name, 'now', 'pause', took((seen.now - begun) / 1_000), 'not yet');
}

function steady(seen: Seen): Stage {
  const { drill } = seen.record;
  const wanted = humanSeconds(drill.experiment.steady_state.held_for);
  const whose = listed(drill.experiment.steady_state.slos);
  if (drill.struck) return stage('Steady state', 'done', 'ok', `held ${took(wanted)}`, whose);
  if (isOver(seen)) return stage('Steady state', 'failed', 'bad', ABSENT, drill.abort ?? whose);
  const held = drill.steady_since ? (seen.now - millis(drill.steady_since)) / 1_000 : undefined;
  const value = held === undefined ? 'waits' : ofSeconds(Math.min(held, wanted), wanted);
  return stage('Steady state', 'now', 'pause', value, `${whose} must be well, nothing open`);
}

function fault(seen: Seen): Stage {
  const { drill, fault } = seen.record;
  const injected = drill.experiment.fault;
  if (!injected) {
    const begun = drill.struck ? 'done' : 'todo';
    return stage('Placebo', begun, 'drill', 'nothing done', 'everything but the fault');
  }
  const details = faultDetails(injected);
  const what = `${faultName(faultKind(injected))}${details ? `: ${details}` : ''}`;
  if (fault.effective_at) {
    const from = fault.injected_at ? millis(fault.injected_at) : undefined;
    const after = from === undefined ? ABSENT : took((millis(fault.effective_at) - from) / 1_000);
    return stage('Fault in effect', 'done', 'drill', after, what);
  }
  const why = fault.refused ?? fault.ineffective;
  if (why)
    return stage('Fault in effect', 'failed', 'bad', fault.refused ? 'refused' : 'none', why);
  if (drill.phase === 'injecting') return stage('Fault in effect', 'now', 'drill', '…', what);
  return stage('Fault in effect', isOver(seen) ? 'failed' : 'todo', 'bad', ABSENT, what);
}

function detected(seen: Seen): Stage {
  const { incident } = seen;
  // An incident that was open before, or is opened again, tells of more than this drill.
  const raised = told(seen.record, 'symptom raised');
  const at = seen.record.scorecard?.detected_at ?? raised?.at ?? incident?.opened;
  if (!at) return awaited(seen, 'Detected', 'no incident was opened');
  const symptom = raised?.text.split(';')[0];
  return stage('Detected', 'done', 'ok', since(seen, at), symptom ?? '');
}

function cause(seen: Seen): Stage {
  const card: Scorecard | null | undefined = seen.record.scorecard;
  const line = told(seen.record, 'cause');
  const text = line?.text ?? card?.cause;
  if (!text) return awaited(seen, 'Cause named', 'no cause was named');
  const state = card?.cause_first === false ? 'failed' : 'done';
  return stage('Cause named', state, 'ok', line ? since(seen, line.at) : 'named', text);
}

function acted(seen: Seen): Stage {
  const { plan, record } = seen;
  const card = record.scorecard;
  const first = plan?.attempts[0];
  const at = card?.acted_at ?? first?.ordered;
  if (at) {
    const passed = plan?.verdicts.filter((verdict) => verdict.passed).length ?? 0;
    const checks = plan ? `, ${passed} of ${plan.verdicts.length} guardrails pass` : '';
    const what = plan ? `${kindWords(plan)} ${plan.target}${checks}` : '';
    const state = card?.decision_right === false ? 'failed' : 'done';
    return stage('Acted', state, 'healing', since(seen, at), what);
  }
  if (plan?.state === 'awaiting_approval' && !isOver(seen)) {
    return stage(
      'Acted',
      'now',
      'person',
      'asks',
      `${kindWords(plan)} ${plan.target} waits for approval`,
    );
  }
  return awaited(seen, 'Acted', plan?.reason || 'nothing was done');
}

function held(seen: Seen): Stage {
  const { plan, record } = seen;
  const card = record.scorecard;
  if (card?.verified_at) {
    const how = card.healed === 'by_action' ? 'users recovered by the action' : words(card.healed);
    const good = !card.healed || card.healed === 'by_action';
    return stage('Recovered', good ? 'done' : 'failed', 'ok', since(seen, card.verified_at), how);
  }
  if (plan?.state === 'verified') {
    return stage('Recovered', 'done', 'ok', since(seen, plan.updated), plan.reason);
  }
  if (plan?.attempts.length && !isOver(seen)) {
    return stage('Holding', 'now', 'healing', words(plan.state), plan.reason);
  }
  const missed = plan?.reason || 'the recovery was not verified';
  return isOver(seen)
    ? awaited(seen, 'Recovered', missed)
    : stage('Recovered', 'todo', 'nodata', ABSENT);
}

function called(seen: Seen): Stage {
  const { incident } = seen;
  const right = seen.record.scorecard?.decision_right;
  if (right === false) {
    const chose = words(seen.record.scorecard?.decision);
    return stage('A person called', 'failed', 'bad', ABSENT, `decided to ${chose}`);
  }
  if (incident?.needs_human) {
    return stage('A person called', 'done', 'person', 'called', incident.needs_human);
  }
  if (right) return stage('A person called', 'done', 'person', 'called');
  return awaited(seen, 'A person called', 'nobody was called');
}

function leftAlone(seen: Seen): Stage {
  const card = seen.record.scorecard;
  const watched = humanSeconds(seen.record.drill.experiment.observe);
  const begun = effective(seen);
  if (card) {
    const good = card.decision_right !== false && card.false_pages === 0;
    const note = good ? 'nobody was paged, nothing was done' : card.failures.join('; ');
    return stage('Left alone', good ? 'done' : 'failed', 'ok', good ? 'quiet' : 'not so', note);
  }
  if (begun === undefined) return stage('Left alone', 'todo', 'nodata', ABSENT);
  const so = ofSeconds(Math.min((seen.now - begun) / 1_000, watched), watched);
  return stage('Left alone', 'now', 'pause', so, 'watched that nothing comes of it');
}

function undo(seen: Seen): Stage {
  const { drill, fault } = seen.record;
  if (!drill.experiment.fault) {
    return stage('Scored', isOver(seen) ? 'done' : 'todo', 'ok', isOver(seen) ? 'scored' : ABSENT);
  }
  if (fault.undone_at) {
    return stage('Undone', 'done', 'ok', since(seen, fault.undone_at), 'its absence was seen');
  }
  if (drill.phase === 'undoing') return stage('Undone', 'now', 'drill', '…', 'the agent undoes it');
  if (isOver(seen) && fault.injected_at) {
    return stage('Undone', 'failed', 'bad', ABSENT, 'not confirmed; the agent goes on trying');
  }
  const note = isOver(seen)
    ? 'there was nothing to undo'
    : `by itself after ${drill.experiment.deadline}`;
  return stage('Undone', 'todo', 'nodata', ABSENT, note);
}

function kindWords(plan: Plan): string {
  const kind: unknown = plan.kind;
  if (typeof kind === 'string') return words(kind);
  const [name, given] = Object.entries(kind as Record<string, unknown>)[0] ?? ['act', undefined];
  const inner = typeof given === 'object' && given !== null ? Object.values(given)[0] : given;
  return `${words(name)}${inner ? ` ${words(String(inner))}` : ''} on`;
}

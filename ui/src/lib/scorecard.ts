// A scorecard as lines that can be read: what happened beside what should have.

import type { DrillRecord } from '../api/schema';
import { shortFailure, times, words } from './drill';
import { ABSENT, count, took } from './format';

export interface Line {
  name: string;
  about?: string;
  value: string;
  state: 'good' | 'wrong' | 'plain';
}

const HEALED: Record<string, string> = {
  by_action: 'by the action',
  only_because_it_ended: 'only because the fault ended',
  not_healed: 'never while it was watched',
  no_harm: 'nobody was hurt',
};

/** `passed`, `aborted`, or in two words what went wrong first. */
export function verdict(record: DrillRecord): string {
  const card = record.scorecard;
  if (!card) return 'running';
  return card.passed ? 'passed' : shortFailure(card);
}

export function scoreLines(record: DrillRecord): Line[] {
  const card = record.scorecard;
  if (!card) return [];
  const at = times(record);
  const heal = card.decision_expected === 'heal';
  const wanted = card.decision_expected !== 'leave_alone';
  const state = (good: boolean | null | undefined): Line['state'] =>
    good === null || good === undefined ? 'plain' : good ? 'good' : 'wrong';
  const lines: Line[] = [];
  const add = (line: Line | false) => line && lines.push(line);

  add(
    card.took_effect !== null &&
      card.took_effect !== undefined && {
        name: 'Took effect',
        about: 'seen by other means than the injection',
        value: card.took_effect ? took(at.effective) : 'no',
        state: state(card.took_effect),
      },
  );
  add({
    name: 'Users hurt',
    about: record.drill.experiment.client_log ? 'by their own log' : 'no log of theirs was given',
    value: record.drill.experiment.client_log ? `${count(card.harmed_requests)} requests` : ABSENT,
    state: 'plain',
  });
  if (wanted) {
    const noticed = card.incident !== null && card.incident !== undefined;
    add({ name: 'Detected', about: 'blind', value: took(at.detected), state: state(noticed) });
    add({
      name: 'Right cause first',
      about: card.cause ?? '',
      value: took(at.cause),
      state: state(noticed ? card.cause_first : false),
    });
  }
  add({
    name: `Decided to ${words(card.decision)}`,
    about: card.decision_right ? '' : `right was to ${words(card.decision_expected)}`,
    value: took(at.acted),
    state: state(card.decision_right),
  });
  if (heal) {
    const byAction = !card.healed || card.healed === 'by_action';
    add({
      name: 'Users well',
      about: card.healed ? HEALED[card.healed] : '',
      value: took(at.well),
      state: state(byAction && card.verified_at !== null && card.verified_at !== undefined),
    });
    const verified = card.verified_at !== null && card.verified_at !== undefined;
    add({ name: 'Recovery verified', value: took(at.verified), state: state(verified) });
  }
  add(
    record.drill.experiment.fault !== null && {
      name: 'Undone',
      about: 'its absence was seen',
      value: took(at.undone),
      state: card.undone_at ? 'good' : card.injected_at ? 'wrong' : 'plain',
    },
  );
  add({
    name: 'False pages',
    value: count(card.false_pages),
    state: state(card.false_pages === 0),
  });
  return lines;
}

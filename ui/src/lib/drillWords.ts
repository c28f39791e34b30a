// One sentence that says how a drill went, or how it goes.

import type { DrillRecord, Incident } from '../api/schema';
import { faultKind, shortFailure, times, words } from './drill';
import { took } from './format';

const DEEDS: Record<string, string> = {
  kill_process: 'was killed',
  pause_process: 'was paused',
  container: 'had its container hurt',
  clock: 'got a wrong clock',
  file_descriptors: 'could open no more files',
  disk_fill: 'had its disk filled',
  cpu: 'had its processors taken',
  memory: 'had its memory taken',
  partition: 'was cut off',
  packet_loss: 'lost packets',
  tcp: 'had its connections hurt',
  toxiproxy: 'had its connections hurt',
  http: 'had its requests hurt',
  dns: 'had wrong names',
  command: 'was hurt',
};

/** `cart was killed and healed: noticed after 5 s, users well after 14 s`. */
export function headlineOf(record: DrillRecord, incident: Incident | undefined): string {
  const { experiment, abort, phase } = record.drill;
  const kind = faultKind(experiment.fault);
  const deed = `${experiment.target} ${DEEDS[kind] ?? 'was hurt'}`;
  const card = record.scorecard;
  if (!card) return `${running(record, deed, incident)}`;
  if (abort) return `Drill ${record.id} was aborted: ${abort}`;
  if (card.took_effect === false) return `The fault took no effect on ${experiment.target}`;
  if (kind === 'placebo') {
    return card.passed
      ? 'Nothing was done, and nothing was found'
      : 'Nothing was done, and Immune was not quiet';
  }
  const at = times(record);
  if (!card.passed) return `${deed}, and it did not go right: ${shortFailure(card)}`;
  if (card.decision_expected === 'leave_alone') return `${deed}, and rightly nothing was done`;
  const noticed = at.detected === undefined ? '' : `noticed after ${took(at.detected)}`;
  if (card.decision_expected === 'escalate') {
    return `${deed}, and a person was called${noticed ? `: ${noticed}` : ''}`;
  }
  const well = at.well === undefined ? '' : `, users well after ${took(at.well)}`;
  return `${deed} and healed${noticed ? `: ${noticed}${well}` : ''}`;

  function running(of: DrillRecord, what: string, open: Incident | undefined): string {
    switch (phase) {
      case 'steady':
        return `Waiting until users are well for ${of.drill.experiment.steady_state.held_for}`;
      case 'injecting':
        return `${of.drill.experiment.target} is about to be hurt`;
      case 'undoing':
        return `The fault at ${of.drill.experiment.target} is being undone`;
      default: {
        if (kind === 'placebo') return 'Nothing is done; nothing should be found';
        if (!open) return `${what}; nothing is noticed yet`;
        const cause = open.causes[0];
        const known = cause && cause.kind !== 'unknown' ? `, ${words(cause.kind)} named` : '';
        return `${what}; noticed${known}, incident ${open.id} is ${open.state}`;
      }
    }
  }
}

import { describe, expect, it } from 'vitest';
import type { DrillRecord } from '../api/schema';
import { scoreLines, verdict } from './scorecard';

const at = (second: number) => new Date(Date.UTC(2026, 0, 31, 12, 0, second)).toISOString();

function record(card: object | null, experiment: object = {}): DrillRecord {
  return {
    id: 1,
    drill: { experiment: { fault: 'kill_process', client_log: '/u', ...experiment }, progress: [] },
    scorecard: card && {
      took_effect: true,
      injected_at: at(0),
      effective_at: at(1),
      harmed_requests: 7,
      incident: 3,
      detected_at: at(6),
      cause_first: true,
      cause: 'cart crashed',
      decision_expected: 'heal',
      decision: 'heal',
      decision_right: true,
      acted_at: at(7),
      verified_at: at(60),
      healed: 'by_action',
      last_harm_at: at(11),
      undone_at: at(61),
      false_pages: 0,
      passed: true,
      failures: [],
      ...card,
    },
  } as unknown as DrillRecord;
}
const line = (of: DrillRecord, name: string) => scoreLines(of).find((one) => one.name === name);

describe('a scorecard', () => {
  it('has a line for each thing that was looked at', () => {
    const lines = scoreLines(record({}));
    expect(lines.map((one) => one.name)).toEqual([
      'Took effect',
      'Users hurt',
      'Detected',
      'Right cause first',
      'Decided to heal',
      'Users well',
      'Recovery verified',
      'Undone',
      'False pages',
    ]);
    expect(lines.filter((one) => one.state === 'wrong')).toEqual([]);
    expect(line(record({}), 'Users well')?.value).toBe('10\u202fs');
  });
  it('says what was not as it should', () => {
    const missed = record({ incident: null, detected_at: null, cause_first: null, passed: false });
    expect(line(missed, 'Detected')?.state).toBe('wrong');
    expect(line(missed, 'Right cause first')?.state).toBe('wrong');
    expect(verdict(missed)).toBe('undetected');
    expect(line(record({ false_pages: 2 }), 'False pages')?.state).toBe('wrong');
    expect(line(record({ undone_at: null }), 'Undone')?.state).toBe('wrong');
  });
  it('asks for no incident where it is right to leave alone', () => {
    const calm = record({
      decision_expected: 'leave_alone',
      decision: 'leave_alone',
      incident: null,
    });
    expect(line(calm, 'Detected')).toBeUndefined();
    expect(line(calm, 'Decided to leave alone')?.state).toBe('good');
  });
  it('tells nothing of users who kept no log', () => {
    const line = scoreLines(record({}, { client_log: null })).find((o) => o.name === 'Users hurt');
    expect(line?.value).toBe('–');
  });
  it('is not there while the drill runs', () => {
    expect(scoreLines(record(null))).toEqual([]);
    expect(verdict(record(null))).toBe('running');
  });
});

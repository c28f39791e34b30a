import { describe, expect, it } from 'vitest';
import type { DrillRecord, Matrix, Scorecard } from '../../api/schema';
import { funnel, newest, squares } from './proof';

const at = (seconds: number) => new Date(Date.UTC(2026, 2, 1) + seconds * 1000).toISOString();

function drill(id: number, card: Partial<Scorecard>): DrillRecord {
  const scorecard = {
    fault: 'kill_process',
    target: 'cart',
    took_effect: true,
    decision_expected: 'heal',
    ...card,
  };
  return { id, scorecard } as unknown as DrillRecord;
}
function matrix(...cells: Partial<Matrix['cells'][number]>[]): Matrix {
  return {
    faults: ['kill_process', 'cpu'],
    targets: ['cart', 'web'],
    cells: cells.map((cell) => ({ fault: 'kill_process', target: 'cart', ...cell })),
  } as unknown as Matrix;
}

describe('newest', () => {
  it('takes the last drill of each fresh cell that came to a result', () => {
    const drills = [
      drill(1, {}),
      drill(2, {}),
      drill(3, { aborted: 'stopped' }),
      drill(4, { took_effect: false }),
      drill(5, { target: 'web' }),
      { id: 6, scorecard: null } as unknown as DrillRecord,
    ];
    const cells = matrix({ stale: false }, { target: 'web', stale: true });
    expect(newest(drills, cells).map((one) => one.id)).toEqual([2]);
  });
});

describe('funnel', () => {
  it('counts each step among the drills of which it was expected', () => {
    const steps = funnel([
      drill(1, {
        first_harm_at: at(0),
        detected_at: at(5),
        cause_first: true,
        decision_right: true,
        acted_at: at(6),
        healed: 'by_action',
        verified_at: at(70),
      }),
      drill(2, { first_harm_at: at(0), detected_at: at(9), cause_first: false }),
      drill(3, { decision_expected: 'leave_alone', decision_right: true }),
      drill(4, { decision_expected: 'escalate', decision_right: false }),
    ]);
    expect(steps.map(({ name, got, of, median_s }) => [name, got, of, median_s])).toEqual([
      ['Detected', 2, 3, 9],
      ['Right cause first', 1, 2, null],
      ['Right decision', 2, 3, null],
      ['Healed', 1, 2, 70],
    ]);
  });
});

describe('squares', () => {
  it('has one for every combination', () => {
    const found = squares(
      matrix({ stale: false, last_passed: true }, { fault: 'cpu', stale: true }),
    );
    expect(found.map((square) => square.state)).toEqual(['passed', 'open', 'stale', 'open']);
  });
});

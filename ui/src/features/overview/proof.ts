// What drills have proven, in the few figures that the overview has room for. Coverage and passing
// are never mixed: what was not tried is neither passed nor failed.

import type { DrillRecord, Matrix, MatrixCell } from '../../api/schema';

/** One step of the way from a fault to a cure. */
export interface Step {
  name: string;
  /** Drills that got so far, of those for which it was right to. */
  got: number;
  of: number;
  /** Seconds that it took in the middle; null where it is not known. */
  median_s: number | null;
}

export interface Square {
  fault: string;
  target: string;
  /** `open` was never tried. */
  state: 'passed' | 'failed' | 'stale' | 'open';
}

/** The newest drill of each cell that came to a fresh result. */
export function newest(drills: DrillRecord[], matrix: Matrix): DrillRecord[] {
  const fresh = new Set(matrix.cells.filter((cell) => !cell.stale).map(key));
  const found = new Map<string, DrillRecord>();
  for (const drill of drills.toSorted((a, b) => b.id - a.id)) {
    const card = drill.scorecard;
    if (!card || card.aborted != null || card.took_effect === false) continue;
    const of = key(card);
    if (fresh.has(of) && !found.has(of)) found.set(of, drill);
  }
  return [...found.values()];
}

/** Detected, right cause, right decision, healed; each of those drills of which it was expected. */
export function funnel(drills: DrillRecord[]): Step[] {
  const cards = drills.flatMap((drill) => (drill.scorecard ? [drill.scorecard] : []));
  const paged = cards.filter((card) => card.decision_expected !== 'leave_alone');
  const caused = paged.filter((card) => card.cause_first != null);
  const decided = cards.filter((card) => card.decision_right != null);
  const healed = cards.filter((card) => card.decision_expected === 'heal');
  const harm = (card: (typeof cards)[number]) => card.first_harm_at ?? card.effective_at;
  return [
    {
      name: 'Detected',
      got: paged.filter((card) => card.detected_at != null).length,
      of: paged.length,
      median_s: middle(paged.map((card) => seconds(harm(card), card.detected_at))),
    },
    {
      name: 'Right cause first',
      got: caused.filter((card) => card.cause_first).length,
      of: caused.length,
      median_s: null,
    },
    {
      name: 'Right decision',
      got: decided.filter((card) => card.decision_right).length,
      of: decided.length,
      median_s: null,
    },
    {
      name: 'Healed',
      got: healed.filter((card) => card.healed === 'by_action').length,
      of: healed.length,
      median_s: middle(healed.map((card) => seconds(harm(card), card.verified_at))),
    },
  ];
}

/** One for each combination: by kind of fault, then target. */
export function squares(matrix: Matrix): Square[] {
  const cells = new Map(matrix.cells.map((cell) => [key(cell), cell]));
  return matrix.faults.flatMap((fault) =>
    matrix.targets.map((target) => {
      const cell = cells.get(key({ fault, target }));
      return { fault, target, state: cell ? stateOf(cell) : ('open' as const) };
    }),
  );
}

function stateOf(cell: MatrixCell): Square['state'] {
  if (cell.stale) return 'stale';
  return cell.last_passed ? 'passed' : 'failed';
}

function key({ fault, target }: { fault: string; target: string }): string {
  return `${fault}\n${target}`;
}

function seconds(from: string | null | undefined, to: string | null | undefined): number | null {
  return from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : null;
}

function middle(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null && value >= 0) as number[];
  known.sort((a, b) => a - b);
  return known.length === 0 ? null : known[Math.floor(known.length / 2)]!;
}

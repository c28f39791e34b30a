// How trouble spreads: from what is blamed along the calls back to where users feel it.
//
// Columns run left to right as calls do. On the way stand the shortest paths from each that is hurt
// to the cause; beside it whom these call or are called by, so that one sees who is spared.

export type Role = 'felt' | 'way' | 'cause' | 'beside';

export interface Spot {
  key: string;
  role: Role;
  /** From 0 at the users. */
  column: number;
  /** Place within its column, from 0 at the top. */
  row: number;
}

export interface Step {
  caller: string;
  callee: string;
  /** The effect runs along it, from callee to caller. */
  hurt: boolean;
}

export interface Spread {
  spots: Spot[];
  steps: Step[];
  columns: number;
  rows: number;
  /** Neighbours that were left out. */
  more: number;
}

const BESIDE_MAX = 5;

/** `hurt` and `cause` are keys of `calls`; without a cause only those that are hurt are shown. */
export function spread(
  calls: { caller: string; callee: string }[],
  hurt: string[],
  cause: string | undefined,
): Spread {
  const callees = grouped(calls, 'caller', 'callee');
  const callers = grouped(calls, 'callee', 'caller');
  const way = cause === undefined ? new Set<string>() : onPaths(cause, hurt, callers);
  if (cause !== undefined) way.add(cause);
  const on = new Set([...way, ...hurt]);
  const depth = depths(on, callees, cause);
  const far = Math.max(0, ...depth.values());
  const columns = new Map([...depth].map(([key, below]) => [key, far - below]));

  const beside = new Map<string, number>();
  const bordering = [...on].sort((a, b) => Number(b === cause) - Number(a === cause));
  for (const key of bordering) {
    for (const callee of callees.get(key) ?? [])
      if (!on.has(callee))
        beside.set(callee, Math.max(beside.get(callee) ?? 0, columns.get(key)! + 1));
  }
  for (const key of bordering) {
    for (const caller of callers.get(key) ?? [])
      if (!on.has(caller) && !beside.has(caller)) beside.set(caller, columns.get(key)! - 1);
  }
  const shown = [...beside].slice(0, BESIDE_MAX);
  for (const [key, column] of shown) columns.set(key, column);
  const least = Math.min(0, ...columns.values());

  /** By users, as far as one can see: no other that is hurt calls it from further up. */
  const isAsked = (key: string) =>
    !(callers.get(key) ?? []).some(
      (caller) => hurt.includes(caller) && depth.get(caller)! > depth.get(key)!,
    );
  const role = (key: string): Role => {
    if (key === cause) return 'cause';
    if (!on.has(key)) return 'beside';
    return hurt.includes(key) && isAsked(key) ? 'felt' : 'way';
  };
  const spots = [...columns].map(([key, column]) => ({
    key,
    role: role(key),
    column: column - least,
    row: 0,
  }));
  const rows = placeRows(spots);
  const steps = calls
    .filter(({ caller, callee }) => columns.has(caller) && columns.has(callee) && caller !== callee)
    .map(({ caller, callee }) => ({
      caller,
      callee,
      hurt: way.has(caller) && way.has(callee) && depth.get(caller)! > depth.get(callee)!,
    }));
  const last = Math.max(0, ...spots.map((spot) => spot.column));
  return { spots, steps, columns: last + 1, rows, more: beside.size - shown.length };
}

/** How many calls lie at most between each and the cause, or the last that it calls; cycles are cut. */
function depths(
  on: Set<string>,
  callees: Map<string, string[]>,
  cause: string | undefined,
): Map<string, number> {
  const found = new Map<string, number>();
  const under = new Set<string>();
  const depthOf = (key: string): number => {
    const known = found.get(key);
    if (known !== undefined) return known;
    under.add(key);
    const below = key === cause ? [] : (callees.get(key) ?? []);
    let depth = cause !== undefined && key !== cause ? 1 : 0;
    for (const callee of below)
      if (on.has(callee) && !under.has(callee)) depth = Math.max(depth, depthOf(callee) + 1);
    under.delete(key);
    found.set(key, depth);
    return depth;
  };
  for (const key of on) depthOf(key);
  return found;
}

function grouped(
  calls: { caller: string; callee: string }[],
  by: 'caller' | 'callee',
  what: 'caller' | 'callee',
): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const call of calls) groups.set(call[by], [...(groups.get(call[by]) ?? []), call[what]]);
  return groups;
}

/** All that lie on a shortest path to the cause from one that is hurt. */
function onPaths(cause: string, hurt: string[], callers: Map<string, string[]>): Set<string> {
  const distance = new Map([[cause, 0]]);
  for (let ring = [cause], far = 1; ring.length > 0; far += 1) {
    const next: string[] = [];
    for (const key of ring) {
      for (const caller of callers.get(key) ?? []) {
        if (distance.has(caller)) continue;
        distance.set(caller, far);
        next.push(caller);
      }
    }
    ring = next;
  }
  const callees = new Map<string, string[]>();
  for (const [callee, its] of callers)
    for (const caller of its) callees.set(caller, [...(callees.get(caller) ?? []), callee]);
  const way = new Set<string>();
  const walk = hurt.filter((key) => distance.has(key));
  while (walk.length > 0) {
    const key = walk.pop()!;
    if (way.has(key)) continue;
    way.add(key);
    for (const callee of callees.get(key) ?? [])
      if (distance.get(callee) === distance.get(key)! - 1) walk.push(callee);
  }
  return way;
}

/** What is hurt in the middle of its column, the others above and below. Tells how many rows. */
function placeRows(spots: Spot[]): number {
  const columns = new Map<number, Spot[]>();
  for (const spot of spots) columns.set(spot.column, [...(columns.get(spot.column) ?? []), spot]);
  let rows = 1;
  for (const column of columns.values()) {
    const core = column.filter((spot) => spot.role !== 'beside');
    const rest = column.filter((spot) => spot.role === 'beside');
    const above = Math.floor(rest.length / 2);
    const order = [...rest.slice(0, above), ...core, ...rest.slice(above)];
    order.forEach((spot, row) => (spot.row = row));
    rows = Math.max(rows, order.length);
  }
  // Each column stands in the middle, so that the way is as straight as it can be.
  for (const column of columns.values()) {
    const core = column.filter((spot) => spot.role !== 'beside');
    const middle =
      core.length > 0
        ? (Math.min(...core.map((s) => s.row)) + Math.max(...core.map((s) => s.row))) / 2
        : (column.length - 1) / 2;
    for (const spot of column) spot.row += (rows - 1) / 2 - middle;
  }
  const top = Math.min(0, ...spots.map((spot) => spot.row));
  for (const spot of spots) spot.row -= top;
  return Math.max(...spots.map((spot) => spot.row)) + 1;
}

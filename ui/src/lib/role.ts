// Who asks, and what that lets them do. The server decides; here it is only said beforehand.

const RANKS = ['ingest', 'read', 'approve', 'admin'];

export interface Asker {
  name: string;
  role: string;
}

export type Need = 'approve' | 'admin';

/** Why `asker` may not do what takes the role `need`; undefined when it may, or is not known yet. */
export function mayNot(asker: Asker | undefined, need: Need): string | undefined {
  if (!asker || RANKS.indexOf(asker.role) >= RANKS.indexOf(need)) return undefined;
  return `${asker.name} has the role ${asker.role}; this takes ${need === 'admin' ? 'admin' : 'approve or admin'}`;
}

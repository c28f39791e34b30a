// What else happened in the time of a histogram: changes, and incidents that were open.

import type { Changes, Incident } from '../api/schema';
import { millis } from './time';

export interface Mark {
  /** Milliseconds since 1970. */
  at: number;
  label: string;
  /** An incident has it as its first cause. */
  blamed: boolean;
}

/** Changes as marks; those of one service where one is asked for. */
export function changeMarks(changes: Changes | undefined, service: string | null): Mark[] {
  return (changes?.changes ?? [])
    .filter(({ entity }) => !service || entity.name === service || entity.part_of === service)
    .map((change) => ({
      at: millis(change.at),
      label: `${change.entity.part_of || change.entity.name}: ${change.summary}`,
      blamed: change.blamed_by.length > 0,
    }));
}

export interface OpenTime {
  id: number;
  title: string;
  from: number;
  /** When it was resolved; of an open one the end of the range. */
  to: number;
}

/** Incidents that were open in a range, cut to it, newest first. */
export function openTimes(
  incidents: Pick<Incident, 'id' | 'title' | 'onset' | 'resolved'>[],
  from: number,
  to: number,
): OpenTime[] {
  return incidents
    .map(({ id, title, onset, resolved }) => ({
      id: Number(id),
      title,
      from: Math.max(from, millis(onset)),
      to: Math.min(to, resolved ? millis(resolved) : to),
    }))
    .filter((one) => one.from < one.to)
    .sort((a, b) => b.from - a.from);
}

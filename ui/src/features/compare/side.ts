// One side while it is gathered: its windows, and its parts as they are met.

import { stepFor } from '../../lib/chart';
import type { Part, Side, Subject } from '../../lib/difference';
import { windows } from '../../lib/points';
import type { Interval, Sides } from '../../lib/sides';

/** A point tells of what ended in the time before it. */
export const BUCKET_MS = 10_000;
export const VERSION = 'service.version';
export const ENVIRONMENT = 'deployment.environment.name';
/** Windows of a side: of all services fewer, since there is more of each. */
const POINTS = 60;
const POINTS_OF_ALL = 20;

export interface Gathered extends Side {
  /** Of the time, whether anything was heard in them or not. */
  windows: number;
  /** Not everything could be read, in words. */
  missing: string[];
  /** Of spans, those that were looked at. */
  versions: string[];
}

export interface Asking {
  sides: Sides;
  step: number;
  times: number[];
  signal: AbortSignal;
}

/** Whole windows within the time. */
export function windowsOf({ service, versions }: Sides, [from, to]: Interval) {
  const step = stepFor(from, to, service === '' ? POINTS_OF_ALL : POINTS);
  const late = versions ? 0 : BUCKET_MS;
  const times = windows(from, to + late, step).filter(
    (at) => at - late >= from && at - late + step <= to,
  );
  return { step, times };
}

/** Of the service as a whole. */
export const wholeKey = (service: string) => keyOf({ kind: 'service', service, name: '' });

export function keyOf({ kind, service, name }: Subject, environment = ''): string {
  return [kind, service, name, environment].join('\n');
}

/** Made when it is first met; what is counted against time is itself a base. */
export function newPart(
  told: Gathered,
  key: string,
  subject: Subject,
  base: string | undefined,
): Part {
  const known = told.parts.get(key);
  if (known) return known;
  const line = () => new Map<number, number>();
  const part = { subject, requests: line(), errors: line(), p50: line(), p95: line(), base };
  told.parts.set(key, part);
  if (base === undefined && subject.kind === 'service') told.bases.set(key, part.requests);
  return part;
}

// Requests, failures and durations of entities and calls, out of the engine's series.

import { mean, scaled, share, total } from './points';
import type { Line, SeriesLike } from './points';
import type { Entity } from '../api/schema';

/** The engine's own series of the time, one value for each window. */
export interface Figures {
  requests: SeriesLike[];
  errors: SeriesLike[];
  /** The 0.95 quantile, seconds. */
  durations: SeriesLike[];
  /** Bytes of watched processes. */
  memory: SeriesLike[];
  /** Log records of severity error and above, of those on the way; undefined where not known. */
  errorLines?: Line;
}

export interface Axis {
  times: number[];
  /** Milliseconds of a window. */
  step: number;
  onset: number;
  /** Since when users are hurt this time. */
  since: number;
  until: number;
  /** It goes on: the newest windows tell how it is. */
  live: boolean;
}

export interface Flow {
  requests: Line;
  failing: Line;
  p95: Line;
}

export type Of = (labels: Record<string, string>) => boolean;

/** All whose labels `of` lets through. */
export function flowOf(figures: Figures, of: Of): Flow {
  const requests = total(figures.requests, of);
  // Quantiles do not add up: the worst of what is meant.
  const p95: Line = new Map();
  for (const { labels, points } of figures.durations) {
    if (!of(labels)) continue;
    for (const [at, value] of points)
      if (value !== null) p95.set(at, Math.max(p95.get(at) ?? 0, value));
  }
  return { requests, failing: share(total(figures.errors, of), requests), p95 };
}

/** Requests to a service or one of its parts; of all else the calls to it. */
export function flowTo(figures: Figures, entity: Entity): Flow {
  switch (entity.kind) {
    case 'service':
      return flowOf(figures, (l) => l.of === 'service' && l.service === entity.name);
    case 'instance':
    case 'operation':
      return flowOf(
        figures,
        (l) =>
          l.of === entity.kind && l.service === entity.part_of && l[entity.kind] === entity.name,
      );
    default:
      return flowOf(
        figures,
        (l) => l.of === 'edge' && l.callee === entity.name && l['callee.kind'] === entity.kind,
      );
  }
}

export function flowBetween(figures: Figures, caller: Entity, callee: Entity): Flow {
  return flowOf(
    figures,
    (l) =>
      l.of === 'edge' &&
      l.service === caller.name &&
      l.callee === callee.name &&
      l['callee.kind'] === callee.kind,
  );
}

/** The instances of a service that were heard, by name. */
export function instancesOf(figures: Figures, service: string): string[] {
  const names = figures.requests
    .filter(({ labels }) => labels.of === 'instance' && labels.service === service)
    .map(({ labels }) => labels.instance ?? '');
  return [...new Set(names)].filter((name) => name !== '').sort();
}

/** How it is now (or was while it lasted), and how it was before. */
export function beforeAndNow(line: Line, axis: Axis): { now?: number; was?: number } {
  const first = axis.times[0] ?? 0;
  const was = mean(line, first, axis.onset - axis.step);
  if (!axis.live) return { now: mean(line, axis.onset, axis.until), was };
  // The newest two windows that lie in the trouble, the one in which it began at the earliest.
  const latest = Math.max(...line.keys());
  const began = Math.floor(axis.since / axis.step) * axis.step;
  return { now: mean(line, Math.max(latest - axis.step, began), Infinity), was };
}

/** Requests a second, failing share and duration while it lasted; the newest where it goes on. */
export function standing(
  flow: Flow,
  axis: Axis,
): { per_s?: number; failing?: number; p95?: number; was_failing?: number } {
  const rates = scaled(flow.requests, 1000 / axis.step);
  const failing = beforeAndNow(flow.failing, axis);
  return {
    per_s: beforeAndNow(rates, axis).now,
    failing: failing.now,
    was_failing: failing.was,
    p95: beforeAndNow(flow.p95, axis).now,
  };
}

// Small lines beside figures: how the share of good requests and the slow end of durations went over
// the page's time range, by service.

import type { SeriesFound } from '../../api/schema';
import { evenly, grouped, selector, shareOf } from '../../lib/red';

export interface Window {
  from: number;
  to: number;
  /** Milliseconds of one point. */
  step: number;
}

export interface History {
  /** Shares of good requests, 0–1. */
  good: (number | null)[];
  /** Seconds. */
  p95: (number | null)[];
}

const POINTS = 60;
const BUCKET_MS = 10_000;
/** Points younger than this may still be on their way. */
const SETTLED_MS = 25_000;

/** Even steps that the engine's series have points for, ending before what is still to come. */
export function windowOf([from, to]: [number, number], now: number): Window {
  const step = Math.max(1, Math.ceil((to - from) / POINTS / BUCKET_MS)) * BUCKET_MS;
  const end = Math.floor(Math.min(to, now - SETTLED_MS) / step) * step;
  return { from: Math.floor(from / step) * step, to: end, step };
}

/** What is asked for: requests, errors, durations of these services. */
export function questions(services: string[]): [string, string][] {
  const of = { of: 'service', service: services };
  return [
    [selector('immune.requests', of), 'increase'],
    [selector('immune.errors', of), 'increase'],
    [selector('immune.duration', { ...of, quantile: '0.95' }), 'avg'],
  ];
}

export function histories(answers: SeriesFound[], window: Window): Map<string, History> {
  const [requests, errors, durations] = answers.map((answer) =>
    grouped(answer.series as never, ({ service, ...labels }) =>
      historyKey(labels['deployment.environment.name'] ?? 'default', service ?? ''),
    ),
  );
  const found = new Map<string, History>();
  const { from, to, step } = window;
  for (const [key, asked] of requests!) {
    const bad = shareOf(errors!.get(key) ?? [], asked);
    const good = bad.map(([at, share]) => [at, share === null ? null : 1 - share]);
    found.set(key, {
      good: evenly(good as [number, number | null][], from, to, step),
      p95: evenly(durations!.get(key) ?? [], from, to, step),
    });
  }
  return found;
}

export function historyKey(environment: string, service: string): string {
  return `${environment}/${service}`;
}

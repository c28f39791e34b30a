// Further traces: the API gives the best 200 of a question, so the next ones are asked for by
// narrowing it to what comes after the last one.

import type { Query } from '../api/client';
import type { TraceSummary } from '../api/schema';
import { millisText, moved } from './nanos';

/** `filter`, so narrowed that what comes after `last` is in its answer (and maybe `last` too). */
export function nextPage(filter: Query, order: 'newest' | 'slowest', last: TraceSummary): Query {
  if (order === 'slowest') return { ...filter, max_duration: millisText(last.best_duration_nanos) };
  // The end is exclusive; others may have started at the very same time.
  return { ...filter, to: moved(last.best_start, 1n) };
}

/** Those that are not listed yet: an earlier span of a listed trace finds it again. */
export function withoutKnown(found: TraceSummary[], listed: TraceSummary[]): TraceSummary[] {
  const known = new Set(listed.map((trace) => trace.trace_id));
  return found.filter((trace) => !known.has(trace.trace_id));
}

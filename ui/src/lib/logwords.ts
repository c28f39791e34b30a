// What is said of log lines, in sentences.

import type { Histogram } from '../api/schema';
import { count, plural } from './format';
import type { Range } from './time';
import { within } from './tracewords';

const QUERY_SHOWN = 40;

/** The answer of a search: how many lines, how many of them errors. */
export function logsHeadline(
  counts: Pick<Histogram, 'buckets' | 'total' | 'truncated'> | undefined,
  query: string,
  range: Range,
): string {
  const short = query.length > QUERY_SHOWN ? `${query.slice(0, QUERY_SHOWN)}…` : query;
  const what = query === '' ? '' : ` match ${short}`;
  if (counts === undefined) return `Log lines${what === '' ? '' : ` that${what}`} ${within(range)}`;
  if (counts.total === 0)
    return query === ''
      ? `No log line ${within(range)}`
      : `No line matches ${short} ${within(range)}`;
  const errors = counts.buckets.reduce((sum, one) => sum + one.error + one.fatal, 0);
  const least = counts.truncated ? 'At least ' : '';
  const of =
    errors === 0
      ? 'none an error'
      : errors === counts.total
        ? 'all errors'
        : `${plural(errors, 'error')}`;
  const one = counts.total === 1;
  const lines = one ? '1 log line' : `${count(counts.total)} log lines`;
  const verb = one ? what.replace(' match ', ' matches ') : what;
  return `${least}${lines}${verb} ${within(range)}, ${of}`;
}

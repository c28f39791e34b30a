// What is said of traces, in sentences.

import type { SpanStats, Trace } from '../api/schema';
import { count, duration, listed, percent, plural, took } from './format';
import { parseSpan, type Range } from './time';

/** `in the last 15 min`, `in these 20 min`. */
export function within(range: Range): string {
  return 'last' in range
    ? `in the last ${duration(parseSpan(range.last))}`
    : `in these ${duration((range.to - range.from) / 1_000)}`;
}

/** The answer of a search: how many, of what, how many of them failed. */
export function tracesHeadline(
  stats: Pick<SpanStats, 'spans' | 'errors'> | undefined,
  query: URLSearchParams,
  range: Range,
): string {
  const service = query.get('service');
  const operation = query.get('operation');
  const of = [service, operation].filter(Boolean).join(' ');
  const whose = of === '' ? '' : ` of ${of}`;
  if (stats === undefined) return `Spans${whose} ${within(range)}`;
  if (query.get('status') === 'error')
    return `${plural(stats.spans, 'failed span')}${whose} ${within(range)}`;
  const failed =
    stats.errors === 0 ? 'none failed' : `${percent(stats.errors / stats.spans)} failed`;
  return stats.spans === 0
    ? `No span${whose} ${within(range)}`
    : `${plural(stats.spans, 'span')}${whose} ${within(range)}, ${failed}`;
}

const nanos = (value: number) => took(value / 1e9);

/** What a trace is about: what was asked of whom, how long it took, where it went wrong. */
export function traceHeadline(trace: Trace): string {
  const root = trace.spans[trace.tree.roots[0] ?? 0];
  if (root === undefined) return 'A trace without spans';
  const what = `${root.service || 'unknown service'} ${root.name}`;
  const failure = trace.tree.failures[0];
  const whole = nanos(trace.duration_nanos);
  if (root.status === 'error') {
    const where = failure && failure.span !== trace.tree.roots[0] ? placed(failure) : '';
    return `${what} failed after ${whole}${where}`;
  }
  if (failure !== undefined) {
    return `${what} took ${whole}; ${failure.service} ${failure.operation} failed on the way`;
  }
  const slowest = [...trace.services].sort((a, b) => b.critical_nanos - a.critical_nanos)[0];
  const share = slowest ? slowest.critical_nanos / Math.max(1, trace.duration_nanos) : 0;
  return slowest && trace.services.length > 1 && share >= 0.5
    ? `${what} took ${whole}, ${nanos(slowest.critical_nanos)} of it in ${slowest.service}`
    : `${what} took ${whole}`;
}

/** Whether it is of two clocks, not of one process whose spans outlive each other. */
function differ({ caller, callee }: Trace['tree']['skews'][number]): boolean {
  return caller.service !== callee.service || caller.instance !== callee.instance;
}

function placed(failure: Trace['tree']['failures'][number]): string {
  const callee = failure.callee && failure.callee !== failure.service ? ` → ${failure.callee}` : '';
  return `; the error started in ${failure.service}${callee}`;
}

/** What a reader should know before reading the bars; empty where nothing is odd. */
export function traceRemarks(trace: Trace): string[] {
  const { tree } = trace;
  const remarks: string[] = [];
  const failure = tree.failures[0];
  const told = failure && (failure.exception_message || failure.message);
  if (failure && told) remarks.push(`${failure.service}: ${told}`);
  const retried = tree.retries.length;
  if (retried > 0) {
    const first = tree.retries[0]!;
    const end = first.succeeded ? 'went well at last' : 'failed for good';
    remarks.push(
      retried === 1
        ? `${first.operation} was tried ${count(first.attempts.length)} times and ${end}`
        : `${plural(retried, 'call')} were made again after they had failed`,
    );
  }
  const fan = tree.fan_outs[0];
  if (fan && fan.calls >= 10) {
    const how = fan.at_once_max === 1 ? ', one after the other' : '';
    remarks.push(`${fan.operation} is called ${count(fan.calls)} times by one span${how}`);
  }
  if (tree.orphans > 0)
    remarks.push(
      `${plural(tree.orphans, 'span')} without ${tree.orphans === 1 ? 'its' : 'their'} parent: it has not come`,
    );
  const skews = tree.skews.filter((skew) => skew.offset_nanos && differ(skew));
  if (skews.length > 0) {
    const pairs = skews.map(({ caller, callee }) =>
      caller.service === callee.service
        ? `${caller.instance} and ${callee.instance}`
        : `${caller.service} and ${callee.service}`,
    );
    remarks.push(`The clocks of ${listed([...new Set(pairs)], 2)} disagree; bars stand as told`);
  }
  const copies = tree.copies.filter((copy) => copy.identical).length;
  if (copies > 0)
    remarks.push(
      `${plural(copies, 'span')} came twice and ${copies === 1 ? 'is' : 'are'} shown once`,
    );
  return remarks;
}

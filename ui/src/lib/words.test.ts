import { describe, expect, it } from 'vitest';
import type { Bucket, Trace } from '../api/schema';
import { logsHeadline } from './logwords';
import { traceHeadline, traceRemarks, tracesHeadline } from './tracewords';

const plain = (text: string) => text.replaceAll('\u202f', ' ');
const hour = { last: '1h' };

describe('tracesHeadline', () => {
  const query = (text: string) => new URLSearchParams(text);
  it('says how many, of what, how many failed', () => {
    const told = (spans: number, errors: number, text: string) =>
      plain(tracesHeadline({ spans, errors }, query(text), hour));
    expect(told(41_203, 312, 'service=cart')).toBe(
      '41,203 spans of cart in the last 1 h, 0.76 % failed',
    );
    expect(told(1, 0, '')).toBe('1 span in the last 1 h, none failed');
    expect(told(7, 7, 'status=error')).toBe('7 failed spans in the last 1 h');
    expect(told(0, 0, 'service=x&operation=y')).toBe('No span of x y in the last 1 h');
  });
});

describe('logsHeadline', () => {
  const counts = (error: number, total: number) => ({
    buckets: [{ error, fatal: 0 } as Bucket],
    total,
    truncated: null,
  });
  it('says how many, and how many of them are errors', () => {
    expect(plain(logsHeadline(counts(2, 1_200), 'timeout', hour))).toBe(
      '1,200 log lines match timeout in the last 1 h, 2 errors',
    );
    expect(plain(logsHeadline(counts(1, 1), 'a', hour))).toBe(
      '1 log line matches a in the last 1 h, all errors',
    );
    expect(plain(logsHeadline(counts(0, 0), '', hour))).toBe('No log line in the last 1 h');
  });
});

function trace(more: object, tree: object): Trace {
  return {
    duration_nanos: 402e6,
    services: [],
    spans: [{ service: 'web', name: 'GET /', status: 'unset' }],
    ...more,
    tree: {
      roots: [0],
      failures: [],
      retries: [],
      fan_outs: [],
      skews: [],
      copies: [],
      orphans: 0,
      ...tree,
    },
  } as unknown as Trace;
}

describe('traceHeadline', () => {
  it('names where the time went, or where the error started', () => {
    const services = [{ service: 'payment', critical_nanos: 300e6 }, { service: 'web' }];
    expect(plain(traceHeadline(trace({ services }, {})))).toBe(
      'web GET / took 402 ms, 300 ms of it in payment',
    );
    const failures = [{ span: 3, service: 'payment', operation: 'pay', callee: 'bank' }];
    const failed = { spans: [{ service: 'web', name: 'GET /', status: 'error' }] };
    expect(plain(traceHeadline(trace(failed, { failures })))).toBe(
      'web GET / failed after 402 ms; the error started in payment → bank',
    );
    expect(plain(traceHeadline(trace({}, { failures })))).toBe(
      'web GET / took 402 ms; payment pay failed on the way',
    );
  });
});

describe('traceRemarks', () => {
  it('tells what is odd, and nothing where nothing is', () => {
    expect(traceRemarks(trace({}, {}))).toEqual([]);
    expect(
      traceRemarks(
        trace({}, { orphans: 2, fan_outs: [{ operation: 'GET', calls: 40, at_once_max: 1 }] }),
      ),
    ).toEqual([
      'GET is called 40 times by one span, one after the other',
      '2 spans without their parent: it has not come',
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import type { NodeState, ServiceDetail } from '../api/schema';
import { differs, failing, slow, type Part } from './differs';
import { THIN } from './format';

const now = Date.parse('2026-03-01T12:00:00Z');
const part = (name: string, requests: number, error_ratio = 0, p95_seconds = 0.1): Part => ({
  name,
  requests,
  error_ratio,
  p95_seconds,
});

function detail(kinds: {
  state?: NodeState;
  versions?: Part[];
  instances?: Part[];
  operations?: Part[];
  silent?: string[];
  objective?: number;
}): ServiceDetail {
  const { versions = [], instances = [], operations = [] } = kinds;
  const all = [versions, instances, operations].find((parts) => parts.length > 0) ?? [];
  const requests = all.reduce((sum, one) => sum + one.requests, 0);
  const failed = all.reduce((sum, one) => sum + one.requests * (one.error_ratio ?? 0), 0);
  const scope = { tenant: 'default', environment: 'default' };
  return {
    service: {
      entity: { scope, kind: 'service', part_of: '', name: 'payment' },
      state: kinds.state ?? 'well',
      since: kinds.state === 'no_data' ? '2026-03-01T11:54:00Z' : null,
      requests,
      requests_per_s: requests / 300,
      error_ratio: requests > 0 ? failed / requests : null,
      p95_seconds: 0.236,
    },
    objectives: kinds.objective
      ? [{ kind: 'availability_burn', entity: { kind: 'service' }, objective: kinds.objective }]
      : [],
    versions: versions.map((one) => ({ ...one, version: one.name })),
    instances: instances.map((one) => ({
      ...one,
      instance: one.name,
      silent_since: kinds.silent?.includes(one.name) ? '2026-03-01T11:56:00Z' : null,
    })),
    operations: operations.map((one) => ({ ...one, operation: one.name })),
  } as unknown as ServiceDetail;
}

const headline = (of: ServiceDetail) => differs(of, now).headline.replaceAll(THIN, ' ');
const more = (of: ServiceDetail) => differs(of, now).more.join(' ').replaceAll(THIN, ' ');

describe('failing', () => {
  it('finds all that fail unlike the rest, the worst first', () => {
    const parts = [part('a', 900, 0.001), part('b', 900, 0.93), part('c', 900, 0.91)];
    expect(failing(parts).map((one) => one.name)).toEqual(['b', 'c']);
  });
  it('says nothing of few requests, of chance, or where all fail alike', () => {
    expect(failing([part('a', 900), part('b', 40, 0.5)])).toEqual([]);
    expect(failing([part('a', 1000, 0.002), part('b', 300, 0.006)])).toEqual([]);
    expect(failing([part('a', 900, 0.5), part('b', 900, 0.52)])).toEqual([]);
    expect(failing([part('a', 900, 0.5)])).toEqual([]);
  });
});

describe('slow', () => {
  it('wants twice the usual and 50 ms more', () => {
    const parts = [part('a', 900, 0, 0.04), part('b', 900, 0, 0.05), part('c', 900, 0, 1.2)];
    expect(slow(parts).map((one) => one.name)).toEqual(['c']);
    expect(slow([part('a', 900, 0, 0.004), part('b', 900, 0, 0.04)])).toEqual([]);
  });
});

describe('differs', () => {
  it('names the version that fails before instances and operations', () => {
    const bad = detail({
      state: 'hurt',
      versions: [part('2.13.4', 10_800, 0.001), part('2.14.0', 5_400, 0.93)],
      instances: [part('payment-1', 10_800, 0.001), part('payment-6', 5_400, 0.93)],
      operations: [part('POST /authorize', 14_900, 0.337), part('GET /cards', 1_300)],
    });
    expect(headline(bad)).toBe('payment fails 31.1 % of its requests, all of them on 2.14.0');
    expect(more(bad)).toBe(
      '2.13.4 fails 0.1 %. Of 2 operations only POST /authorize stands out in failing.',
    );
  });
  it('does not hide a part that fails in a whole that does not', () => {
    const parts = [part('GET /', 100_000, 0), part('POST /refund', 400, 0.5)];
    expect(headline(detail({ operations: parts }))).toBe(
      'payment fails little, but POST /refund fails 50 %',
    );
  });
  it('measures by the objective where there is one', () => {
    const operations = [part('GET /', 9_000), part('POST /pay', 900, 0.08)];
    const said = (objective: number) => headline(detail({ operations, objective }));
    expect(said(0.99)).toBe('payment fails little, but POST /pay fails 8 %');
    expect(said(0.999)).toBe('payment fails 0.73 % of its requests, all of them in POST /pay');
  });
  it('counts names that are too long for one line', () => {
    const long = (name: string) => part(`POST /api/some/long/path/${name}/items`, 900, 0.5);
    const operations = [part('GET /', 900), long('cart'), long('order')];
    expect(headline(detail({ operations }))).toBe(
      'payment fails 33.3 % of its requests, all of them in 2 operations',
    );
  });
  it('names the instance that is slow', () => {
    const instances = [part('a', 900), part('b', 900), part('c', 900, 0, 1.2)];
    expect(headline(detail({ instances }))).toBe('payment is slow on c: p95 1.2 s');
  });
  it('says how long nothing was told', () => {
    expect(headline(detail({ state: 'no_data' }))).toBe('payment has told nothing for 6 min');
  });
  it('says that nothing stands out, with figures', () => {
    const well = detail({ instances: [part('a', 900), part('b', 900)] });
    expect(headline(well)).toBe('payment is well: 6/s, 0 % fail, p95 236 ms');
    expect(more(well)).toBe('Nothing stands out among 2 instances.');
  });
  it('tells of an instance that fell silent', () => {
    const one = detail({ instances: [part('a', 900), part('b', 0)], silent: ['b'] });
    expect(more(one)).toBe('b has told nothing for 4 min.');
  });
  it('knows what has no requests', () => {
    expect(headline(detail({ state: 'no_traffic' }))).toBe('payment is asked for nothing');
  });
});

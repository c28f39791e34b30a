import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Incident, ServiceDetail } from '../api/schema';

// The router reads the window's location when it is loaded.
vi.stubGlobal('window', { location: { pathname: '/', search: '' }, addEventListener: () => {} });
let sides: typeof import('./sides');
beforeAll(async () => {
  sides = await import('./sides');
}, 120_000);

const NOW = Date.parse('2026-11-28T12:00:07Z');
const at = (time: string) => Date.parse(`2026-11-28T${time}Z`);
const of = (query: string) => sides.sidesOf(new URLSearchParams(query), NOW);

describe('sidesOf', () => {
  it('takes the range of the frame for B as far as it is told, and as long before for A', () => {
    const { a, b, service, versions } = of('last=10m');
    expect(b).toEqual([at('11:50:00'), at('11:59:40')]);
    expect(a).toEqual([at('11:40:20'), at('11:50:00')]);
    expect([service, versions]).toEqual(['', undefined]);
  });
  it('takes A so much earlier, or its own time', () => {
    const b = 'from=2026-11-28T11:00:00Z&to=2026-11-28T11:10:00Z';
    expect(of(`${b}&a=1d`).a).toEqual([at('11:00:00') - 86_400_000, at('11:10:00') - 86_400_000]);
    const own = '2026-11-28T09:00:00Z/2026-11-28T09:30:00Z';
    expect(of(`${b}&a=${own}`).a).toEqual([at('09:00:00'), at('09:30:00')]);
    for (const wrong of ['x', '0d', own.split('/').toReversed().join('/')])
      expect(of(`${b}&a=${wrong}`).a).toEqual([at('10:50:00'), at('11:00:00')]);
  });
  it('takes two versions of a service in one time', () => {
    const { versions, a, b } = of('service=cart&versions=1.2,1.3');
    expect(versions).toEqual(['1.2', '1.3']);
    expect(a).toEqual(b);
    expect(of('versions=1.2,1.3').versions).toBeUndefined();
    expect(of('service=cart&versions=1.2').versions).toBeUndefined();
  });
  it('can be swapped, and back', () => {
    const before = of('service=cart&last=10m');
    const query = new URLSearchParams('service=cart');
    for (const [name, value] of Object.entries(sides.swapped(before)))
      if (typeof value === 'string') query.set(name, value);
    const after = sides.sidesOf(query, NOW);
    expect([after.a, after.b]).toEqual([before.b, before.a]);
    expect(sides.swapped(of('service=cart&versions=1,2'))).toEqual({ versions: '2,1' });
  });
});

describe('the ways into a comparison', () => {
  const scope = { tenant: 'default', environment: 'test' };
  const entity = (kind: string, name: string, part_of = '') => ({ scope, kind, part_of, name });
  const incident = (hurt: object, cause: object) =>
    ({
      scope,
      state: 'resolved',
      onset: '2026-11-28T11:00:00Z',
      mitigated: '2026-11-28T11:04:00Z',
      resolved: '2026-11-28T11:05:00Z',
      firing: [],
      symptoms: [{ entity: hurt, severity: 'page', bad: 1 }],
      causes: [cause],
    }) as unknown as Incident;
  it('lead from an incident to who is hurt, else to what is blamed', () => {
    const crash = {
      kind: 'crash',
      confidence: 0.9,
      entity: entity('instance', 'payment-1', 'payment'),
    };
    const web = entity('service', 'web');
    expect(sides.incidentComparison(incident(web, crash), NOW)).toBe(
      '/compare?service=web&environment=test&from=2026-11-28T11%3A00%3A00.000Z&to=2026-11-28T11%3A04%3A00.000Z',
    );
    const peer = entity('peer', 'bank');
    expect(sides.incidentComparison(incident(peer, crash), NOW)).toMatch(/service=payment&/);
    const unknown = { kind: 'unknown', confidence: 0, entity: web };
    expect(sides.incidentComparison(incident(peer, unknown), NOW)).toMatch(/compare\?environment=/);
  });
  it('take the whole bucket in which an incident ended, and no more', () => {
    const short = incident(entity('service', 'web'), { kind: 'unknown', confidence: 0 });
    short.mitigated = '2026-11-28T11:00:03Z';
    expect(sides.incidentComparison(short, NOW)).toMatch(/to=2026-11-28T11%3A00%3A10.000Z/);
  });

  const detail = (...versions: string[]) =>
    ({
      service: { entity: { ...entity('service', 'cart'), scope: { environment: 'default' } } },
      versions: versions.map((version) => ({ version, instances: 1, requests: 10 })),
      instances: [{ version: '2', version_since: '2026-11-28T11:00:00Z' }],
    }) as unknown as ServiceDetail;
  it('lead from a service to its two versions', () => {
    expect(sides.serviceComparison(detail('2', '1'), [], { last: '1h' }, NOW)).toBe(
      '/compare?service=cart&environment=default&versions=1%2C2',
    );
  });
  it('lead to before and after the last change, else to the range and before it', () => {
    const change = (time: string) => ({ at: `2026-11-28T${time}Z` });
    const of = (...times: string[]) =>
      sides.serviceComparison(detail('2'), times.map(change), { last: '6h' }, NOW);
    expect(of('09:00:00', '10:00:00')).toMatch(/from=2026-11-28T10%3A00%3A00.000Z&to=/);
    // A minute after it nothing can be said yet; before the range it is not shown.
    expect(of('11:59:30')).toBe('/compare?service=cart&environment=default&last=6h');
    expect(of('01:00:00')).toBe('/compare?service=cart&environment=default&last=6h');
    expect(of()).toBe('/compare?service=cart&environment=default&last=6h');
  });
});

import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Entity, NodeState, ServiceState } from '../api/schema';

// The router reads the window's location when it is loaded.
vi.stubGlobal('window', { location: { pathname: '/', search: '' }, addEventListener: () => {} });
let service: typeof import('./service');
beforeAll(async () => {
  service = await import('./service');
}, 120_000);

const entity = (name: string, kind: Entity['kind'] = 'service', environment = 'default') =>
  ({ scope: { tenant: 'default', environment }, kind, part_of: '', name }) as Entity;

const state = (name: string, state: NodeState = 'well', more: Partial<ServiceState> = {}) =>
  ({
    entity: entity(name),
    state,
    since: null,
    requests_per_s: 1,
    error_ratio: 0,
    p50_seconds: 0.01,
    p95_seconds: 0.02,
    requests: 300,
    instances: 1,
    instances_silent: 0,
    versions: [],
    incidents: [],
    objectives: 0,
    objective: null,
    last_seen: null,
    last_change: null,
    ...more,
  }) as ServiceState;

describe('servicePath', () => {
  it('says what is not usual, and keeps the range', () => {
    const base = new URLSearchParams('last=15m');
    expect(service.servicePath(entity('postgresql/shop', 'database', 'staging'), base)).toBe(
      '/services/postgresql%2Fshop?last=15m&environment=staging&kind=database',
    );
    expect(service.servicePath(entity('cart'))).toBe('/services/cart');
  });
});

describe('isOf', () => {
  it('takes parts of the same environment only', () => {
    const cart = entity('cart');
    const part = { ...entity('GET /', 'operation'), part_of: 'cart' };
    expect(service.isOf(cart, part)).toBe(true);
    expect(service.isOf(entity('cart', 'service', 'staging'), part)).toBe(false);
    expect(service.isOf(cart, entity('cart', 'database'))).toBe(false);
  });
});

describe('sorted', () => {
  const all = [
    state('b', 'well', { requests_per_s: 5, error_ratio: null }),
    state('c', 'hurt', { requests_per_s: 2, error_ratio: 0.4 }),
    state('a', 'well', { requests_per_s: 9 }),
  ];
  const names = (text: string | null) =>
    service.sorted(all, service.orderOf(text)).map((one) => one.entity.name);
  it('has odd ones first, then names', () => {
    expect(names(null)).toEqual(['c', 'a', 'b']);
    expect(names('nonsense')).toEqual(['c', 'a', 'b']);
  });
  it('has the largest numbers first, unless reversed', () => {
    expect(names('requests')).toEqual(['a', 'b', 'c']);
    expect(names('-requests')).toEqual(['c', 'b', 'a']);
    expect(names('failed')).toEqual(['c', 'a', 'b']);
    expect(names('-name')).toEqual(['c', 'b', 'a']);
    expect(names('budget')).toEqual(['a', 'b', 'c']);
  });
});

describe('matches', () => {
  it('wants all words, of name, kind, state or version', () => {
    const one = state('payment', 'hurt', { versions: [{ version: '2.14.0', instances: 2 }] });
    expect(service.matches(one, 'pay 2.14')).toBe(true);
    expect(service.matches(one, 'HURT service')).toBe(true);
    expect(service.matches(one, 'pay database')).toBe(false);
    expect(service.matches(one, '')).toBe(true);
  });
});

describe('listHeadline', () => {
  it('names who is not well, two clauses at most', () => {
    expect(service.listHeadline([state('a'), state('b', 'hurt'), state('c', 'at_risk')])).toBe(
      'b hurts users; c is at risk',
    );
    const many = ['a', 'b', 'c', 'd'].map((name) => state(name, 'no_data'));
    expect(service.listHeadline(many)).toBe('a, b and 2 more tell nothing');
    expect(service.listHeadline([state('a', 'healing')])).toBe('a is well again, watched');
  });
  it('says that all are well only of those that are judged', () => {
    expect(service.listHeadline([state('a'), state('b')])).toBe('All 2 services are well');
    expect(service.listHeadline([state('a'), state('b', 'no_traffic')])).toBe(
      '1 is well; 1 has no requests',
    );
    expect(service.listHeadline([state('a', 'learning')])).toBe('Learning what is normal');
    expect(service.listHeadline([state('a', 'no_traffic')])).toBe(
      'No service is asked for anything',
    );
  });
});

describe('census', () => {
  it('counts by kind', () => {
    const all = [state('a'), state('b'), { ...state('d'), entity: entity('d', 'database') }];
    expect(service.census(all)).toBe('2 services and 1 database');
  });
});

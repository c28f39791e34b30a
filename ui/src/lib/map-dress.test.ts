import { describe, expect, it } from 'vitest';
import { THIN } from './format';
import { USERS, type MapNode } from './map';
import { dressed, figures, heat, shortened, spoken, type Known } from './map-dress';
import { drillsBy, graphOf } from './map-of';
import { entityName, ownerKey, type EntityFacts } from './naming';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const plain = (text: string | undefined) => text?.replaceAll(THIN, ' ');

function node(id: string, change: Partial<MapNode> = {}): MapNode {
  return {
    id,
    name: id,
    kind: 'service',
    state: 'well',
    environment: 'default',
    rate: 418,
    errors: 0,
    p95_s: 0.041,
    since: null,
    ...change,
  };
}
function known(change: Partial<Known> = {}): Known {
  return {
    now: NOW,
    changes: new Map(),
    drills: new Map(),
    causes: new Set(),
    href: (of) => `/services/${of.name}`,
    ...change,
  };
}
const dress = (one: MapNode, by: Parameters<typeof dressed>[1], facts = known()) =>
  dressed({ nodes: [one], edges: [] }, by, facts).boxes[0]!;

describe('figures', () => {
  it('are requests, failed and p95', () => {
    expect(plain(figures(node('cart'), NOW))).toBe('418/s · 0 % · 41 ms');
  });
  it('are not made up where nothing is known', () => {
    const silent = node('m', { state: 'no_data', since: new Date(NOW - 360_000).toISOString() });
    expect(plain(figures(silent, NOW))).toBe('no data for 6 min');
    expect(figures(node('m', { state: 'no_data' }), NOW)).toBe('no data');
    expect(figures(node('r', { state: 'no_traffic', rate: 0 }), NOW)).toBe('no requests');
    expect(figures(node('q', { rate: null }), NOW)).toBe('calls not seen');
  });
  it('of a group count its members', () => {
    const group = node('shop', { kind: 'group', members: ['a', 'b'], rate: 12 });
    expect(plain(figures(group, NOW))).toBe('2 services · 12/s');
  });
});

describe('dressed', () => {
  it('spends colour on trouble only', () => {
    const tone = (state: MapNode['state']) => dress(node('a', { state }), 'health').tone;
    expect(['well', 'no_traffic', 'hurt', 'no_data'].map((s) => tone(s as never))).toEqual([
      'plain',
      'plain',
      'bad',
      'none',
    ]);
  });
  it('reddens a call only between two that are hurt', () => {
    const nodes = [node('a', { state: 'hurt' }), node('b', { state: 'hurt' }), node('c')];
    const edges = [
      { from: 'a', to: 'b', rate: 1, errors: 0 },
      { from: 'a', to: 'c', rate: 1, errors: 0 },
    ];
    const { lines } = dressed({ nodes, edges }, 'health', known());
    expect(lines.map((line) => line.tone)).toEqual(['bad', 'plain']);
  });
  it('marks a change on the map of health where it may matter: not well, a quarter of an hour', () => {
    const changed = (minutes: number) =>
      known({ changes: new Map([['a', { summary: 'v1 → v2', at: NOW - minutes * 60_000 }]]) });
    const hurt = node('a', { state: 'hurt' });
    expect(plain(dress(hurt, 'health', changed(7)).mark)).toBe('v1 → v2 · 7 min ago');
    expect(dress(hurt, 'health', changed(20)).mark).toBeUndefined();
    expect(dress(node('a'), 'health', changed(7)).mark).toBeUndefined();
    expect(dress(node('a'), 'changes', changed(20))).toMatchObject({ tone: 'changed' });
    expect(dress(node('b'), 'changes', changed(20))).toMatchObject({ tone: 'faded' });
  });
  it('tells coverage and passing of drills apart', () => {
    const drills = (drilled: number, passed: number) =>
      known({ drills: new Map([['a', { drilled, passed, of: 9 }]]) });
    const says = (facts: Known) => {
      const { tone, line } = dress(node('a'), 'drills', facts);
      return [tone, line];
    };
    expect(says(drills(3, 3))).toEqual(['drill', '3 of 9 drilled, 3 passed']);
    expect(says(drills(3, 2))).toEqual(['bad', '3 of 9 drilled, 2 passed']);
    expect(says(drills(0, 0))).toEqual(['plain', '0 of 9 drilled']);
    expect(says(known())).toEqual(['faded', 'no target to drill']);
  });
  it('leaves users as they are', () => {
    const users = node(USERS, { kind: 'users' });
    expect(dress(users, 'drills')).toMatchObject({ tone: 'plain', line: '418/s' });
  });
});

describe('heat', () => {
  it('has a shade for each half', () => {
    expect([100, 51, 50, 20, 1, 0, null].map((rate) => heat(rate, 100))).toEqual([
      'heat5',
      'heat5',
      'heat4',
      'heat3',
      'heat1',
      'faded',
      'faded',
    ]);
  });
});

describe('shortened', () => {
  it('leaves what fits', () => {
    expect([shortened('cart', 4), shortened('checkout', 5.9)]).toEqual(['cart', 'chec…']);
  });
});

describe('spoken', () => {
  it('says name, kind, state and figures', () => {
    const box = dress(node('orders', { kind: 'database', state: 'hurt' }), 'health');
    expect(spoken(box)).toBe('orders database, hurt, 418/s · 0 % · 41 ms');
  });
});

describe('graphOf', () => {
  const entity = (name: string, environment = 'default', kind = 'service'): EntityFacts => ({
    scope: { tenant: 'default', environment },
    kind,
    part_of: '',
    name,
  });
  const topology = {
    nodes: [
      { entity: entity('cart'), state: 'well' as const, requests_per_s: 3 },
      { entity: entity('cart', 'staging'), state: 'well' as const },
    ],
    edges: [{ caller: entity('cart'), callee: entity('cart', 'staging') }],
  };

  it('keeps environments apart by name, or shows one', () => {
    expect(graphOf(topology).nodes.map((one) => one.name)).toEqual([
      'cart (default)',
      'cart (staging)',
    ]);
    const staging = graphOf(topology, 'staging');
    expect(staging.nodes.map((one) => one.name)).toEqual(['cart']);
    expect(staging.edges).toEqual([]);
  });
  it('joins drills to the service whose target was drilled', () => {
    const instance = (name: string) => ({
      name,
      entity: { ...entity(name, 'default', 'instance'), part_of: 'cart' },
    });
    const cell = (target: string, stale: boolean, last_passed: boolean) => ({
      target,
      stale,
      last_passed,
    });
    const cells = [
      cell('cart-1', false, true),
      cell('cart-2', true, true),
      cell('x', false, false),
    ];
    const targets = [instance('cart-1'), instance('cart-2')];
    expect([...drillsBy(targets, { faults: ['cpu', 'dns'], cells })]).toEqual([
      ['default/default/service:/cart', { drilled: 1, passed: 1, of: 4 }],
    ]);
    expect(drillsBy(targets, undefined).size).toBe(0);
  });
  it('takes an instance for its service', () => {
    const instance = { ...entity('cart-1', 'default', 'instance'), part_of: 'cart' };
    expect(ownerKey(instance)).toBe('default/default/service:/cart');
    expect(ownerKey(entity('db', 'default', 'database'))).toBe('default/default/database:/db');
  });
  it('names entities as the terminal does', () => {
    const part = (kind: string, name: string) =>
      entityName({ ...entity(name, 'x', kind), part_of: 'cart' });
    expect([
      part('instance', 'cart-1'),
      part('instance', '7f'),
      part('operation', 'GET /'),
    ]).toEqual(['cart-1', 'cart/7f', 'cart GET /']);
    expect(entityName(entity('orders', 'x', 'database'))).toBe('database orders');
  });
});

import { describe, expect, it } from 'vitest';
import {
  folded,
  inFull,
  lineWidth,
  sorted,
  stepFrom,
  USERS,
  withUsers,
  type Graph,
  type MapNode,
} from './map';

function node(id: string, change: Partial<MapNode> = {}): MapNode {
  return {
    id,
    name: id,
    kind: 'service',
    state: 'well',
    environment: 'default',
    rate: 10,
    errors: 0,
    p95_s: 0.1,
    since: null,
    ...change,
  };
}
const calls = (...pairs: string[]) =>
  pairs.map((pair) => {
    const [from, to] = pair.split('>') as [string, string];
    return { from, to, rate: 1, errors: 0 };
  });
const ids = (graph: Graph) => graph.nodes.map((one) => one.id).toSorted();

describe('sorted', () => {
  it('gives the same graph whatever order it came in', () => {
    const one = { nodes: [node('b'), node('a')], edges: calls('b>a', 'a>b') };
    const other = { nodes: [node('a'), node('b')], edges: calls('a>b', 'b>a') };
    expect(sorted(one)).toEqual(sorted(other));
  });
  it('leaves out calls to oneself and to what is not there', () => {
    const graph = { nodes: [node('a')], edges: calls('a>a', 'a>gone') };
    expect(sorted(graph).edges).toEqual([]);
  });
});

describe('withUsers', () => {
  it('lets users call what nobody else calls and what is asked', () => {
    const job = node('job', { rate: 0 });
    const db = node('db', { kind: 'database' });
    const graph = {
      nodes: [node('web'), node('cart'), job, db],
      edges: [{ ...calls('web>cart')[0]!, rate: 10 }],
    };
    const edges = withUsers(graph).edges.filter((edge) => edge.from === USERS);
    expect(edges.map((edge) => edge.to)).toEqual(['web']);
  });
  it('knows users also of what services call too', () => {
    const calls = [{ from: 'cart', to: 'web', rate: 3, errors: 0 }];
    const graph = { nodes: [node('web'), node('cart', { rate: 0 })], edges: calls };
    expect(withUsers(graph).edges[0]).toEqual({ from: USERS, to: 'web', rate: 7, errors: 0 });
    const all = { ...graph, edges: [{ ...calls[0]!, rate: 9 }] };
    expect(withUsers(all)).toBe(all);
  });
  it('adds nobody where nothing is asked', () => {
    const graph = { nodes: [node('web', { rate: null })], edges: [] };
    expect(withUsers(graph)).toBe(graph);
  });
  it('hurts users where their entry is hurt', () => {
    const graph = { nodes: [node('web', { state: 'hurt' })], edges: [] };
    expect(withUsers(graph).nodes[0]).toMatchObject({ id: USERS, state: 'hurt', rate: 10 });
  });
});

describe('folded', () => {
  const fleet = (prefix: string, amount: number) =>
    Array.from({ length: amount }, (_, index) => node(`${prefix}-${index}`));

  it('shows the hurt and their neighbours in full, and the rest by its first word with a count', () => {
    const hurt = node('pay-1', { state: 'hurt' });
    const graph = {
      nodes: [hurt, ...fleet('shop', 5), ...fleet('mail', 4)],
      edges: calls('shop-0>pay-1', 'shop-1>mail-0', 'shop-2>mail-1', 'mail-2>mail-3'),
    };
    const found = folded(graph, inFull(graph));
    expect(ids(found)).toEqual(['group:mail', 'group:shop', 'pay-1', 'shop-0']);
    const mail = found.nodes.find((one) => one.id === 'group:mail')!;
    expect([mail.members?.length, mail.rate]).toEqual([4, 40]);
    expect(found.edges).toEqual([
      { from: 'shop-0', to: 'pay-1', rate: 1, errors: 0 },
      { from: 'group:shop', to: 'group:mail', rate: 2, errors: 0 },
    ]);
  });
  it('opens a group on demand', () => {
    const graph = { nodes: fleet('shop', 3), edges: [] };
    expect(ids(folded(graph, new Set()))).toEqual(['group:shop']);
    expect(ids(folded(graph, new Set(), new Set(['shop'])))).toHaveLength(3);
  });
  it('leaves what has no siblings as it is, unless there are too many of them', () => {
    const few = { nodes: [node('cart'), node('mail')], edges: [] };
    expect(ids(folded(few, new Set()))).toEqual(['cart', 'mail']);
    const many = { nodes: Array.from({ length: 80 }, (_, i) => node(`n${i}`)), edges: [] };
    expect(ids(folded(many, new Set()))).toEqual(['group:others']);
  });
  it('goes by namespace where names have one', () => {
    const graph = { nodes: [node('shop/cart'), node('shop/web'), node('shop-x')], edges: [] };
    expect(ids(folded(graph, new Set()))).toEqual(['group:shop']);
    const apart = { nodes: [node('a-b/x'), node('a-b/y'), node('a/z')], edges: [] };
    expect(ids(folded(apart, new Set()))).toEqual(['a/z', 'group:a-b']);
  });
  it('never folds what sends nothing', () => {
    const silent = node('shop-9', { state: 'no_data' });
    const graph = { nodes: [silent, ...fleet('shop', 3)], edges: [] };
    expect(ids(folded(graph, inFull(graph)))).toEqual(['group:shop', 'shop-9']);
  });
});

describe('lineWidth', () => {
  it('grows with traffic between its bounds', () => {
    const widths = [null, 0, 25, 100, 400].map((rate) => lineWidth(rate, 100).toFixed(1));
    expect(widths).toEqual(['1.2', '1.2', '3.1', '5.0', '5.0']);
  });
});

describe('stepFrom', () => {
  const at: Record<string, [number, number]> = {
    web: [0, 100],
    cart: [200, 0],
    mail: [200, 100],
    pay: [200, 200],
    db: [400, 200],
  };
  const edges = calls('web>pay', 'pay>db');

  it('goes along a call rather than to what is nearest', () => {
    expect(stepFrom('web', 'right', at, edges)).toBe('pay');
    expect(stepFrom('pay', 'left', at, edges)).toBe('web');
  });
  it('goes to the nearest where no call leads that way', () => {
    expect(stepFrom('cart', 'right', at, edges)).toBe('db');
    expect(stepFrom('pay', 'up', at, edges)).toBe('mail');
  });
  it('stays where nothing lies that way', () => {
    expect(stepFrom('db', 'right', at, edges)).toBe('db');
  });
  it('begins somewhere where it stands nowhere', () => {
    expect(stepFrom('gone', 'down', at, edges)).toBe('web');
  });
});

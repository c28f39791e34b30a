import { describe, expect, it } from 'vitest';
import { spread } from './spread';

const calls = [
  ['web', 'gateway'],
  ['gateway', 'checkout'],
  ['gateway', 'catalog'],
  ['checkout', 'payment'],
  ['checkout', 'orders-db'],
  ['payment', 'card-network'],
  ['mailer', 'queue'],
].map(([caller, callee]) => ({ caller: caller!, callee: callee! }));

describe('spread', () => {
  it('walks from the cause back to where users feel it', () => {
    const { spots, steps, columns } = spread(calls, ['web'], 'payment');
    const of = (role: string) =>
      spots.filter((s) => s.role === role).sort((a, b) => a.column - b.column);
    expect(of('felt').map((s) => [s.key, s.column])).toEqual([['web', 0]]);
    expect(of('way').map((s) => [s.key, s.column])).toEqual([
      ['gateway', 1],
      ['checkout', 2],
    ]);
    expect(of('cause').map((s) => [s.key, s.column])).toEqual([['payment', 3]]);
    expect(of('beside').map((s) => s.key)).toEqual(['catalog', 'orders-db', 'card-network']);
    expect(steps.filter((s) => s.hurt).map((s) => s.callee)).toEqual([
      'gateway',
      'checkout',
      'payment',
    ]);
    expect(columns).toBe(5);
  });
  it('shows who is hurt where no path leads to the cause', () => {
    const { spots } = spread(calls, ['web'], 'mailer');
    expect(spots.filter((s) => s.role !== 'beside').map((s) => [s.key, s.role])).toEqual([
      ['mailer', 'cause'],
      ['web', 'felt'],
    ]);
  });
  it('puts those that call each other in columns of their own', () => {
    const mesh = [
      ['web', 'cart'],
      ['web', 'orders'],
      ['cart', 'orders'],
      ['orders', 'cart'],
    ].map(([caller, callee]) => ({ caller: caller!, callee: callee! }));
    const { spots } = spread(mesh, ['web', 'cart', 'orders'], 'orders');
    const told = spots.map((s) => `${s.column} ${s.key} ${s.role}`);
    expect(told.sort()).toEqual(['0 web felt', '1 cart way', '2 orders cause']);
  });
  it('gives no two the same place', () => {
    for (const cause of [undefined, 'payment', 'checkout', 'web']) {
      const { spots } = spread(calls, ['web', 'gateway'], cause);
      const places = spots.map((s) => `${s.column}/${s.row}`);
      expect(new Set(places).size).toBe(places.length);
    }
  });
  it('says how many neighbours it leaves out', () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ caller: 'web', callee: `s${i}` }));
    const { spots, more } = spread(many, ['web'], 'web');
    expect(spots.length + more).toBe(21);
    expect(more).toBeGreaterThan(0);
  });
});

import { describe, expect, it } from 'vitest';
import type { Incident, ObjectiveState, ToldChange } from '../../api/schema';
import { nearest, verdict } from './trouble';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const ago = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
const scope = { tenant: 'default', environment: 'default' };
const service = (name: string) => ({ scope, kind: 'service' as const, part_of: '', name });

describe('nearest', () => {
  const objective = (name: string, change: Partial<ObjectiveState>) =>
    ({
      entity: service(name),
      health: 'well',
      burn: [0, 0, 0, 0],
      budget_left: 1,
      ...change,
    }) as ObjectiveState;
  const order = (...objectives: ObjectiveState[]) => nearest(objectives).map((o) => o.entity.name);

  it('begins with what burns and ends with what nobody asks', () => {
    const found = order(
      objective('idle', { health: 'no_traffic' }),
      objective('new', { health: 'learning' }),
      objective('well', {}),
      objective('silent', { health: 'no_data' }),
      objective('burning', { health: 'burning' }),
    );
    expect(found).toEqual(['burning', 'silent', 'well', 'new', 'idle']);
  });
  it('goes by burn, then by the budget that is left, then by name', () => {
    const found = order(
      objective('b', {}),
      objective('a', {}),
      objective('spent', { budget_left: -0.2 }),
      objective('fast', { burn: [null, 3, 0, 0] }),
    );
    expect(found).toEqual(['fast', 'spent', 'a', 'b']);
  });
});

describe('verdict', () => {
  const change = (minutes: number, blamed_by: number[] = []) =>
    ({
      at: ago(minutes),
      entity: service('cart'),
      kind: 'deploy',
      summary: '',
      blamed_by,
    }) as unknown as ToldChange;
  const incident = (name: string, minutes: number) =>
    ({ id: 4, onset: ago(minutes), symptoms: [{ entity: service(name) }] }) as unknown as Incident;

  it('is blamed where diagnosis says so', () => {
    expect(verdict(change(60, [9]), [], NOW)).toMatchObject({ words: 'blamed', incident: 9 });
  });
  it('tells of trouble of the same service soon after', () => {
    const words = (other: Incident) => verdict(change(60), [other], NOW).words;
    expect(words(incident('cart', 55))).toBe('trouble after, not blamed');
    expect(words(incident('web', 55))).toBe('no incident');
    expect(words(incident('cart', 45))).toBe('no incident');
    expect(words(incident('cart', 65))).toBe('no incident');
  });
  it('does not acquit what was just made', () => {
    expect(verdict(change(5), [], NOW).words).toBe('being watched');
  });
});

import { describe, expect, it } from 'vitest';
import { heldRows } from './held.svelte';

const rows = (text: string) => text.split(' ').map((one) => ({ id: one[0]!, value: one.slice(1) }));
const shown = (of: { rows: { id: string; value: string }[] }) =>
  of.rows.map((row) => row.id + row.value).join(' ');

describe('held', () => {
  it('follows the list while nobody points at it', () => {
    expect(heldRows(rows('b1 a1'), undefined, (row) => row.id)).toEqual({
      rows: rows('b1 a1'),
      waiting: 0,
    });
  });
  it('keeps places, changes values, and lets what is new wait', () => {
    const found = heldRows(rows('c1 b2 a2'), rows('a1 b1'), (row) => row.id);
    expect(shown(found)).toBe('a2 b2');
    expect(found.waiting).toBe(1);
  });
  it('keeps what has left the list', () => {
    expect(shown(heldRows(rows('a2'), rows('a1 b1'), (row) => row.id))).toBe('a2 b1');
  });
});

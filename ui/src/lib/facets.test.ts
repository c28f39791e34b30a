import { describe, expect, it } from 'vitest';
import type { SpanRecord } from '../api/schema';
import { facets } from './facets';

function span(service: string, status: string, attributes: Record<string, unknown>): SpanRecord {
  return { service, name: 'op', status, kind: 'server', attributes } as unknown as SpanRecord;
}

describe('facets', () => {
  const found = facets([
    span('cart', 'error', { code: 500, ok: false }),
    span('cart', 'unset', { code: 200, list: [1] }),
    span('web', 'unset', { code: 200 }),
  ]);
  it('count values, and how many of them failed', () => {
    expect(found.fields[0]!.values).toEqual([
      { value: 'cart', count: 2, bad: 1 },
      { value: 'web', count: 1, bad: 0 },
    ]);
    expect(found.attributes[0]).toMatchObject({ name: 'code', present: 3, distinct: 2 });
  });
  it('leave out what no filter can ask for', () => {
    expect(found.attributes.map((facet) => facet.name)).toEqual(['code', 'ok']);
  });
  it('leave out what is different in each span', () => {
    const spans = Array.from({ length: 100 }, (_, id) => span('a', 'ok', { id, half: id % 2 }));
    expect(facets(spans).attributes.map((facet) => facet.name)).toEqual(['half']);
  });
});

import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../api/schema';
import { bodyText, fieldsOf, knownOf, Resources, restText } from './logtext';

const entry = (more: Partial<LogEntry>) =>
  ({
    time: '2026-03-01T12:00:00.000Z',
    severity: 'warn',
    service: 'web store',
    body: 'x',
    attributes: {},
    resource: {},
    ...more,
  }) as LogEntry;

describe('bodyText', () => {
  it('finds something to say', () => {
    expect(bodyText(entry({ body: 'hello' }))).toBe('hello');
    expect(bodyText(entry({ body: { a: 1 } }))).toBe('{"a":1}');
    expect(bodyText(entry({ body: null, event_name: 'login', attributes: { id: 7 } }))).toBe(
      'login id=7',
    );
  });
});

describe('restText', () => {
  it('are the attributes beside a body', () => {
    expect(restText(entry({ attributes: { id: 7, ok: true, list: [1] } }))).toBe(
      'id=7 ok=true list=[1]',
    );
    expect(restText(entry({ body: null, attributes: { id: 7 } }))).toBe('');
  });
});

describe('fieldsOf', () => {
  const fields = fieldsOf(
    entry({ attributes: { service: 'x', list: [1], n: 2 }, resource: { 'host.name': 'a b' } }),
  );
  it('tells for each value the term that asks for it', () => {
    expect(fields.own.find((one) => one.name === 'service')?.term).toBe('service:"web store"');
    expect(fields.attributes.map((one) => one.term)).toEqual(['"service":x', undefined, 'n:2']);
    expect(fields.resource[0]?.term).toBe('resource.host.name:"a b"');
  });
});

describe('knownOf', () => {
  it('gathers fields and values', () => {
    const known = knownOf([entry({ attributes: { id: 7 } }), entry({ attributes: { id: 8 } })]);
    expect([...(known.get('id') ?? [])]).toEqual(['7', '8']);
    expect([...(known.get('service') ?? [])]).toEqual(['web store']);
  });
});

describe('Resources', () => {
  it('keeps each once', () => {
    const [one, other] = new Resources().share([
      entry({ resource: { a: 1 } }),
      entry({ resource: { a: 1 } }),
    ]);
    expect(one!.resource).toBe(other!.resource);
  });
});

import { describe, expect, it } from 'vitest';
import * as logs from './logquery';

describe('term', () => {
  it('quotes what would mean something else', () => {
    const values = ['orders', 'a b', '/api/x', '>3', 'a*', 'say "x"', 'C:\\new', '', 'it’s', '-1'];
    expect(values.map((value) => logs.term('f', value))).toEqual([
      'f:orders',
      'f:"a b"',
      'f:"/api/x"',
      'f:">3"',
      'f:"a*"',
      'f:"say \\"x\\""',
      'f:C:\\new',
      'f:""',
      'f:it’s',
      'f:-1',
    ]);
  });
  it('keeps an attribute named like a field apart from the field', () => {
    expect(logs.attributeField('service')).toBe('"service"');
    expect(logs.attributeField('resource.x')).toBe('"resource.x"');
    expect(logs.attributeField('http.route')).toBe('http.route');
    expect(logs.attributeField('a b')).toBe('"a b"');
    expect(logs.resourceField('k8s.node.name')).toBe('resource.k8s.node.name');
    expect(logs.resourceField('odd name')).toBe('resource."odd name"');
  });
});

describe('withTerm', () => {
  it('adds a term once', () => {
    expect(logs.withTerm('', 'a:1')).toBe('a:1');
    expect(logs.withTerm('timeout', 'a:1')).toBe('timeout a:1');
    expect(logs.withTerm('a:1 timeout', 'a:1')).toBe('a:1 timeout');
  });
  it('turns the contrary round', () => {
    expect(logs.withTerm('x -a:1', 'a:1')).toBe('x a:1');
    expect(logs.withTerm('a:1 x', 'a:1', true)).toBe('-a:1 x');
  });
  it('does not let an OR swallow the new term', () => {
    expect(logs.withTerm('a OR b', 'c:1')).toBe('(a OR b) c:1');
    expect(logs.withTerm('(a OR b) d', 'c:1')).toBe('(a OR b) d c:1');
    expect(logs.withTerm('"a OR b"', 'c:1')).toBe('"a OR b" c:1');
    expect(logs.withTerm('/a OR b/', 'c:1')).toBe('/a OR b/ c:1');
    expect(logs.withTerm('ORDER', 'c:1')).toBe('ORDER c:1');
  });
});

describe('completions', () => {
  const known: logs.Known = new Map([
    ['service', new Set(['orders', 'web store'])],
    ['order.id', new Set(['7'])],
  ]);
  const at = (query: string) => {
    const under = logs.underCursor(query, query.length);
    return under && logs.completions(under, known).map((one) => one.text);
  };
  it('offers fields, then attributes that were seen', () => {
    expect(at('x -ser')).toEqual(['service:']);
    expect(at('or')).toEqual(['order.id:']);
  });
  it('offers values of a field, quoted where needed', () => {
    expect(at('service:')).toEqual(['"web store"', 'orders']);
    expect(at('severity:>=wa')).toEqual(['warn']);
    expect(at('service:orders')).toEqual([]);
  });
  it('is quiet within quotes and regexes', () => {
    expect(at('"ser')).toBeUndefined();
    expect(at('service:/or')).toBeUndefined();
  });
  it('says what a completion replaces', () => {
    expect(logs.underCursor('a severity:>=wa', 15)).toEqual({
      from: 13,
      field: 'severity',
      typed: 'wa',
    });
  });
});

describe('misread', () => {
  it('finds the place of an error', () => {
    expect(logs.misread('`query`: column 4: this quote is not closed')).toEqual({
      column: 4,
      message: 'this quote is not closed',
    });
    expect(logs.misread('too many queries')).toBeUndefined();
  });
});

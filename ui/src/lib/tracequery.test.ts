import { describe, expect, it } from 'vitest';
import * as traces from './tracequery';

const none = new URLSearchParams();

describe('readFilter', () => {
  it('reads what people type', () => {
    for (const [text, change] of [
      ['service=cart', { service: 'cart' }],
      [' operation = GET /pay ', { operation: 'GET /pay' }],
      ['status=error', { status: 'error' }],
      ['duration>=250ms', { min_duration: '250ms' }],
      ['duration<1m30s', { max_duration: '1m30s' }],
      ['http.route=~/a/.*', { attribute: ['http.route=~/a/.*'] }],
      ['!user.id', { attribute: ['!user.id'] }],
      ['user.id', { attribute: ['user.id'] }],
      ['http.response.status_code>=500', { attribute: ['http.response.status_code>=500'] }],
    ] as const) {
      expect(traces.readFilter(text, none), text).toEqual(change);
    }
  });
  it('says what is wrong, and what to write', () => {
    for (const text of [
      '',
      'two words',
      'status=bad',
      'kind>3',
      'duration=5s',
      'duration>5',
      'service!=a',
      'a>b',
    ]) {
      expect(traces.readFilter(text, none), text).toBeTypeOf('string');
    }
  });
  it('adds an attribute to those that are there, once', () => {
    const query = new URLSearchParams('attribute=a%3D1');
    expect(traces.readFilter('b=2', query)).toEqual({ attribute: ['a=1', 'b=2'] });
    expect(traces.readFilter('a=1', query)).toEqual({ attribute: ['a=1'] });
  });
});

describe('chips', () => {
  it('each take themselves away', () => {
    const query = new URLSearchParams(
      'service=cart&min_duration=1s&attribute=a%3D1&attribute=b&last=15m',
    );
    expect(traces.chips(query).map(({ without }) => without)).toEqual([
      { service: null },
      { min_duration: null },
      { attribute: ['b'] },
      { attribute: ['a=1'] },
    ]);
  });
});

describe('attributeIs', () => {
  it('quotes what would read as an operator', () => {
    expect(traces.attributeIs('a', 'x=y')).toBe('a=x=y');
    expect(traces.attributeIs('a', '~x')).toBe('a="~x"');
    expect(traces.attributeIs('a', '"q" \\')).toBe('a="\\"q\\" \\\\"');
    expect(traces.attributeIs('a', '')).toBe('a=""');
  });
});

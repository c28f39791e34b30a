import { describe, expect, it } from 'vitest';
import { parseEvent, withQuery } from './client';

describe('withQuery', () => {
  it('leaves out what is absent and repeats lists', () => {
    const query = { service: 'cart', attribute: ['a=1', 'b'], from: undefined, operation: '' };
    expect(withQuery('/api/v1/traces', query)).toBe(
      '/api/v1/traces?service=cart&attribute=a%3D1&attribute=b',
    );
  });
});

describe('parseEvent', () => {
  it('reads type, id and data of several lines', () => {
    expect(parseEvent('event: journal\nid: 7\ndata: {\ndata: }')).toEqual({
      type: 'journal',
      id: '7',
      data: '{\n}',
    });
  });
  it('takes a comment for nothing', () => {
    expect(parseEvent(': still here')).toBeNull();
  });
});

import { describe, expect, it } from 'vitest';
import type { Finding, Subject } from './difference';
import { answer, changeText, subjectName, valueText } from './difference-words';

const finding = (more: Partial<Finding>, subject: Partial<Subject> = {}): Finding => ({
  key: JSON.stringify([more, subject]),
  subject: { kind: 'service', service: 'checkout', name: '', ...subject },
  aspect: 'fails',
  a: 0.001,
  b: 0.083,
  verdict: 'more',
  size: 1,
  requests: [1_000, 1_000],
  relative: false,
  shapes: [[], []],
  ...more,
});
const plain = (text: string) => text.replaceAll('\u202f', ' ');
const said = (findings: Finding[], names: [string, string] = ['A', 'B']) =>
  plain(answer(findings, 'checkout', names).headline);

describe('answer', () => {
  it('names the largest with both figures, and counts the others', () => {
    const slower = finding({ aspect: 'p95', a: 0.088, b: 0.42 });
    const same = finding({ verdict: 'same' });
    expect(said([finding({}), slower, same])).toBe(
      'checkout fails 8.3 % in B, 0.1 % in A; 1 other difference',
    );
    expect(said([slower])).toBe(
      'checkout takes 420 ms at p95 in B, 88 ms in A; nothing else differs',
    );
    expect(said([finding({})], ['2.13.4', '2.14.0'])).toBe(
      'checkout fails 8.3 % in 2.14.0, 0.1 % in 2.13.4; nothing else differs',
    );
  });
  it('says what is new, gone, asked and called', () => {
    const post = { kind: 'operation', name: 'POST /pay' } as const;
    const traffic = { aspect: 'traffic', relative: true } as const;
    expect(said([finding({ ...traffic, verdict: 'new', a: 0, b: 0.3 }, post)])).toBe(
      'checkout POST /pay is new in B: 30 %; nothing else differs',
    );
    expect(said([finding({ ...traffic, verdict: 'gone', a: 0.3, b: 0 }, post)])).toMatch(
      'checkout POST /pay is gone in B; 30 % in A',
    );
    expect(said([finding({ aspect: 'traffic', a: 38, b: 12, verdict: 'less' })])).toMatch(
      'checkout is asked 12/s in B, 38/s in A',
    );
    const bank = { kind: 'call', name: 'bank' } as const;
    expect(said([finding({ ...traffic, a: 1, b: 3 }, bank)])).toMatch(
      'checkout → bank: 3 a request in B, 1 a request in A',
    );
    const lines = { kind: 'lines', name: 'error' } as const;
    expect(said([finding({ aspect: 'traffic', a: 0.01, b: 0.2 }, lines)])).toMatch(
      'checkout, error lines: 12 a minute in B, 0.6 a minute in A',
    );
    expect(said([finding({ aspect: 'traffic', a: 0, b: 0.5, verdict: 'new' }, lines)])).toMatch(
      'checkout, error lines are new in B: 30 a minute',
    );
  });
  it('says that nothing differs only where something was judged', () => {
    expect(said([finding({ verdict: 'same' }), finding({ verdict: 'few' })])).toBe(
      'Nothing of checkout differs between A and B: 1 figure alike',
    );
    expect(said([finding({ verdict: 'few' })])).toBe(
      'Too few requests of checkout to tell A from B',
    );
    expect(plain(answer([], '', ['A', 'B']).headline)).toBe('Too few requests to tell A from B');
  });
  it('keeps to 90 characters', () => {
    const long = { kind: 'operation', name: 'POST /api/v1/orders/{id}/payments/confirm' } as const;
    const told = answer([finding({}, long), finding({})], 'checkout', ['A', 'B']);
    expect(plain(told.headline)).toMatch(/in A$/);
    expect(told.more).toBe('1 more.');
  });
});

describe('figures', () => {
  it('are written with their unit, and what is not there in words', () => {
    expect(plain(valueText(finding({}), 0.083))).toBe('8.3 %');
    expect(valueText(finding({ aspect: 'traffic', relative: true }), 0)).toBe('none');
    expect(subjectName({ kind: 'instance', service: 'cart', name: 'cart-1' })).toBe('cart-1');
    expect(subjectName({ kind: 'instance', service: 'cart', name: 'a1' })).toBe('cart/a1');
    expect(subjectName({ kind: 'caller', service: 'cart', name: 'web' })).toBe('web → cart');
    expect(subjectName({ kind: 'lines', service: '', name: 'warn' })).toBe(
      'all services, warn lines',
    );
    const elsewhere = { kind: 'service', service: 'cart', name: '', environment: 'test' } as const;
    expect(subjectName(elsewhere)).toBe('cart (test)');
  });
  it('change by points, times or per cent', () => {
    const change = (more: Partial<Finding>) => plain(changeText(finding(more)));
    expect(change({})).toBe('+8.2 points');
    expect(change({ aspect: 'p95', a: 0.1, b: 0.42 })).toBe('×4.2');
    expect(change({ aspect: 'p95', a: 0.1, b: 0.05, verdict: 'less' })).toBe('−50 %');
    expect(change({ aspect: 'traffic', a: 0, b: 1, verdict: 'new' })).toBe('new');
  });
});

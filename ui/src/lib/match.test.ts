import { describe, expect, it } from 'vitest';
import { closest, isTraceId } from './match';

const names = ['payment', 'catalog', 'cart', 'checkout', 'Freeze healing', 'Go to Traces'];
const found = (typed: string) => closest(typed, names, (name) => name, 3);

describe('closest', () => {
  it('puts what begins so before what holds it, and that before scattered letters', () => {
    expect(found('ca')[0]).toBe('cart');
    expect(found('ca')).toContain('catalog');
    expect(found('heal')).toEqual(['Freeze healing']);
    expect(found('cko')).toEqual(['checkout']);
  });
  it('takes words in any order', () => {
    expect(found('traces go')).toEqual(['Go to Traces']);
  });
  it('finds nothing for what nothing holds, and all for nothing', () => {
    expect(found('zzz')).toEqual([]);
    expect(found('')).toEqual(names.slice(0, 3));
  });
});

describe('isTraceId', () => {
  it('knows 32 hexadecimal digits, not all zero', () => {
    expect(isTraceId('5ced89ace060e30b6e18c7a5c5a38e97')).toBe(true);
    expect(isTraceId('5ced89ace060e30b6e18c7a5c5a38e9')).toBe(false);
    expect(isTraceId('0'.repeat(32))).toBe(false);
  });
});

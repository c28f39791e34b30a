import { describe, expect, it } from 'vitest';
import { changed, phraseOf, shapeOf } from './templates';

describe('shapeOf', () => {
  it('leaves out what differs from line to line', () => {
    expect(shapeOf('order 4711 of user "ann" took 12.5ms')).toBe('order ‹*› of user ‹*› took ‹*›');
    expect(shapeOf('trace 4bf92f3577b34da6a3ce929d0e0e4736 failed')).toBe('trace ‹*› failed');
    expect(shapeOf('connect 127.0.0.1:5001: refused')).toBe('connect ‹*› refused');
  });
  it('keeps words with digits in them and the first line alone', () => {
    expect(shapeOf('HTTP2 reset by payment-a\n  at main')).toBe('HTTP2 reset by payment-a');
  });
});

describe('phraseOf', () => {
  it('takes the longest part that is the same in all', () => {
    expect(phraseOf('order ‹*› of user ‹*› took ‹*›')).toBe('of user');
    expect(phraseOf('‹*›')).toBe('');
  });
});

describe('changed', () => {
  const line = (text: string) => ({ service: 'cart', severity: 'error', text });
  const many = (text: string, times: number) => Array.from({ length: times }, () => line(text));
  it('puts new shapes first, then those that surge', () => {
    const found = changed(
      { lines: [...many('slow 1', 40), ...many('refused 2', 3), ...many('usual', 5)], seconds: 60 },
      { lines: [...many('slow 2', 2), ...many('usual', 5)], seconds: 60 },
    );
    expect(found.map(({ shape, change }) => [shape, change])).toEqual([
      ['refused ‹*›', 'new'],
      ['slow ‹*›', 'surging'],
      ['usual', 'as_before'],
    ]);
  });
});

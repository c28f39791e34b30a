import { expect, it } from 'vitest';
import { steady } from './steady';

it('keeps places, appends what is new and drops what is gone', () => {
  expect(steady(['d', 'c', 'a'], ['a', 'b', 'c'])).toEqual(['a', 'c', 'd']);
  expect(steady(['b', 'a'], [])).toEqual(['b', 'a']);
});

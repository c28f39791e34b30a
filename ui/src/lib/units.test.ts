import { expect, it } from 'vitest';
import { THIN } from './format';
import { unitFormat } from './units';

const said = (unit: string, value: number, growing = false) =>
  unitFormat(unit, growing).format(value).replaceAll(THIN, ' ');

it('reads the units that SDKs send', () => {
  expect(said('By', 35_651_584)).toBe('34 MiB');
  expect(said('ms', 688)).toBe('688 ms');
  expect(said('s', 0.688)).toBe('688 ms');
  expect(said('%', 31)).toBe('31 %');
  expect(said('1', 0.5)).toBe('0.5');
  expect(said('{request}', 12)).toBe('12 request');
});

it('says what comes a second', () => {
  expect(said('By', 2048, true)).toBe('2 KiB/s');
  expect(said('{request}', 12, true)).toBe('12/s');
  expect(said('s', 0.4, true)).toBe('0.4');
});

import { expect, it } from 'vitest';
import { metricLines, type MetricSeries } from './metric';

const of = (labels: Record<string, string>, value: number, fn = 'last'): MetricSeries => ({
  labels,
  function: fn,
  points: [[0, value]],
});

it('names series by what tells them apart', () => {
  const found = metricLines([
    of({ service: 'cart', instance: 'cart-1', 'resource.host.name': 'a', state: 'used' }, 1),
    of({ service: 'cart', instance: 'cart-2', 'resource.host.name': 'b', state: 'used' }, 2),
  ]);
  expect(found.lines.map((line) => line.name)).toEqual(['cart-2', 'cart-1']);
  expect(found.function).toBe('last');
});

it('shows the largest four and says of how many', () => {
  const many = [3, 1, 2, 5, 4].map((value) => of({ pool: `p${value}` }, value));
  const found = metricLines(many);
  expect([found.lines.map((line) => line.name), found.of]).toEqual([['p5', 'p4', 'p3', 'p2'], 5]);
});

it('names one series by its function, and never two alike', () => {
  expect(metricLines([of({ a: 'x' }, 1)]).lines[0]!.name).toBe('last');
  const names = metricLines([of({}, 1), of({}, 2)]).lines.map((line) => line.name);
  expect(names).toEqual(['last', 'last (2)']);
});

import { describe, expect, it } from 'vitest';
import type { Entity, Incident } from '../api/schema';
import { lanes } from './evidence';
import { THIN } from './format';
import type { LaneFacts } from './evidencelanes';
import { standing, flowTo, type Axis, type Figures } from './flows';

const scope = { tenant: 'default', environment: 'default' };
const service = (name: string): Entity => ({ scope, kind: 'service', part_of: '', name });
const instance = (of: string, name: string): Entity => ({
  scope,
  kind: 'instance',
  part_of: of,
  name,
});

/** From 0 to 100 s in steps of 10 s; trouble begins at 50 s. */
const axis: Axis = {
  times: Array.from({ length: 10 }, (_, index) => index * 10_000),
  step: 10_000,
  onset: 50_000,
  since: 50_000,
  until: 100_000,
  live: false,
};
const points = (before: number, during: number): [number, number][] =>
  axis.times.map((at) => [at, at < axis.onset ? before : during]);
const figures: Figures = {
  requests: [
    { labels: { of: 'service', service: 'web' }, points: points(100, 100) },
    { labels: { of: 'instance', service: 'orders', instance: 'orders-1' }, points: points(50, 50) },
    { labels: { of: 'instance', service: 'orders', instance: 'orders-2' }, points: points(50, 50) },
    {
      labels: { of: 'edge', service: 'web', callee: 'orders', 'callee.kind': 'service' },
      points: points(100, 100),
    },
    {
      labels: { of: 'edge', service: 'web', callee: 'shop', 'callee.kind': 'database' },
      points: points(100, 100),
    },
  ],
  errors: [
    { labels: { of: 'service', service: 'web', 'error.type': 'a' }, points: points(0, 30) },
    { labels: { of: 'service', service: 'web', 'error.type': 'b' }, points: points(0, 10) },
    {
      labels: { of: 'edge', service: 'web', callee: 'orders', 'callee.kind': 'service' },
      points: points(0, 40),
    },
  ],
  durations: [
    {
      labels: { of: 'edge', service: 'web', callee: 'shop', 'callee.kind': 'database' },
      points: points(0.02, 0.021),
    },
  ],
  memory: [],
};
const incident = {
  state: 'resolved',
  title: '',
  symptoms: [
    {
      entity: service('web'),
      kind: 'availability_burn',
      severity: 'page',
      source: 'web',
      unit: 'ratio',
      threshold: 0.01,
      measured: 0.4,
      bad: 200,
      total: 500,
    },
  ],
  firing: [],
  causes: [
    { kind: 'crash', entity: instance('orders', 'orders-1'), confidence: 0.95, evidence: [] },
  ],
} as unknown as Incident;
const facts: LaneFacts = {
  incident,
  objectives: [],
  figures,
  axis,
  way: [{ caller: service('web'), callee: service('orders') }],
  beside: [
    { caller: service('web'), callee: { scope, kind: 'database', part_of: '', name: 'shop' } },
  ],
  traces: (name, failed) => (from, to) => `${name} ${failed} ${from} ${to}`,
};

describe('lanes', () => {
  it('begin with what users feel and end with what was ruled out', () => {
    expect(lanes(facts).map(({ title, ruledOut }) => [title, ruledOut ?? false])).toEqual([
      ['Requests that succeed', false],
      ['Requests to orders that fail', false],
      ['Calls web → orders', false],
      ['Requests to web', false],
      ['Ruled out: database shop', true],
    ]);
  });
  it('say how it was before and while it lasted', () => {
    const [felt] = lanes(facts);
    expect([felt!.now, felt!.was].map((text) => text.replace(THIN, ' '))).toEqual([
      '60 %',
      'was 100 %',
    ]);
    expect(felt!.limit).toEqual({ at: 0.99, bad: 'below' });
    expect(felt!.bad).toBe(true);
  });
  it('rule nothing out that got slower', () => {
    const slower = {
      ...figures,
      durations: [{ ...figures.durations[0]!, points: points(0.02, 0.2) }],
    };
    expect(lanes({ ...facts, figures: slower }).some((lane) => lane.ruledOut)).toBe(false);
  });
  it('are none where nothing is known', () => {
    const none = { requests: [], errors: [], durations: [], memory: [] };
    expect(lanes({ ...facts, figures: none })).toEqual([]);
  });
});

describe('standing', () => {
  it('adds up kinds of errors', () => {
    const { per_s, failing, was_failing } = standing(flowTo(figures, service('web')), axis);
    expect([per_s, failing, was_failing]).toEqual([10, 0.4, 0]);
  });
});

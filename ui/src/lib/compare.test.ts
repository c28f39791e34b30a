import { describe, expect, it } from 'vitest';
import type { VersionFigures } from '../api/schema';
import { failedVerdict, pairOf, slowVerdict, type Pair } from './compare';

const version = (version: string, instances: number, more: Partial<VersionFigures> = {}) =>
  ({
    version,
    instances,
    requests: 900,
    requests_per_s: 3,
    error_ratio: 0.001,
    p50_seconds: 0.1,
    p95_seconds: 0.2,
    ...more,
  }) as VersionFigures;
const pair = (before: Partial<VersionFigures>, after: Partial<VersionFigures>): Pair => ({
  before: version('1', 4, before),
  after: version('2', 2, after),
});

describe('pairOf', () => {
  it('takes the two that most instances run, the later one second', () => {
    const began: Record<string, number> = { '2.14.0': 5, '2.13.4': 1, '2.11.0': 0 };
    const versions = [version('2.14.0', 2), version('2.13.4', 4), version('2.11.0', 0)];
    const found = pairOf(versions, (name) => began[name]!)!;
    expect([found.before.version, found.after.version]).toEqual(['2.13.4', '2.14.0']);
  });
  it('wants two that have a name', () => {
    expect(pairOf([version('1', 2), version('', 1)], () => 0)).toBeUndefined();
  });
});

describe('verdicts', () => {
  it('say worse and better only beyond chance', () => {
    expect(failedVerdict(pair({}, { error_ratio: 0.93 }))).toBe('worse');
    expect(failedVerdict(pair({ error_ratio: 0.5 }, {}))).toBe('better');
    expect(failedVerdict(pair({}, { error_ratio: 0.002 }))).toBe('same');
    expect(failedVerdict(pair({}, { error_ratio: 0.9, requests: 50 }))).toBe('too few');
  });
  it('want a third more and 20 ms', () => {
    expect(slowVerdict(pair({}, { p95_seconds: 0.21 }), 'p95_seconds')).toBe('same');
    expect(slowVerdict(pair({}, { p95_seconds: 0.4 }), 'p95_seconds')).toBe('worse');
    expect(slowVerdict(pair({}, { p95_seconds: 0.1 }), 'p95_seconds')).toBe('better');
    expect(slowVerdict(pair({}, { p95_seconds: null }), 'p95_seconds')).toBe('too few');
  });
});

import { describe, expect, it } from 'vitest';
import type { ServerStatus, Setting, StorageStatus } from '../api/schema';
import { exposition } from './exposition';
import { THIN } from './format';
import * as own from './own';

const status = {
  now: '2026-03-01T12:00:00Z',
  started: '2026-03-01T10:00:00Z',
  agent_connected: true,
} as ServerStatus;
const storage = {
  tables: [
    { table: 'spans', points: 1_000, bytes: 50_000, files: 2 },
    { table: 'logs', points: 0, bytes: 0, files: 0 },
  ],
  memory_bytes: 10,
  memory_bytes_max: 100,
  disk_state: 'ok',
  disk_free_bytes: 2 ** 30,
  disk_needed_bytes: 2 ** 20,
  trouble: [] as string[],
} as StorageStatus;
const metrics = (more = '') =>
  exposition(
    `immune_tick_lag_seconds 0.4\nimmune_late_spans_total 3\nimmune_log_failed_commits_total 0\n` +
      `immune_received_items_total{signal="traces",transport="grpc"} 7200\n${more}`,
  );

describe('checksOf', () => {
  it('puts what is wrong first, and shows nothing that was not told', () => {
    const checks = own.checksOf(metrics('immune_journal_conflicts_total 1\n'), status, storage);
    expect(checks.slice(0, 2).map((check) => [check.name, check.judged])).toEqual([
      ['Journal conflicts', 'bad'],
      ['Late spans', 'risk'],
    ]);
    expect(checks.some((check) => check.name === 'Memory of the server')).toBe(false);
  });
});

describe('costsOf', () => {
  const settings = [
    { path: 'storage.traces.keep', value: '14d', origin: 'default' },
    { path: 'storage.traces.size_max', value: '20GiB', origin: 'default' },
  ] as Setting[];
  it('projects from the mean rate since the start', () => {
    const [spans, logs] = own.costsOf(storage, metrics(), status, settings);
    expect(spans).toMatchObject({ per_item: 50, per_day: 86_400 * 50, cut: false });
    expect(spans!.projected).toBe(14 * 86_400 * 50);
    expect(logs!.per_day).toBeUndefined();
  });
  it('ends at the bound', () => {
    const low = [settings[0]!, { ...settings[1]!, value: '1MiB' }] as Setting[];
    const [spans] = own.costsOf(storage, metrics(), status, low);
    expect(spans).toMatchObject({ projected: 2 ** 20, cut: true });
  });
});

describe('human sizes and durations', () => {
  it('are read as configuration writes them', () => {
    expect(own.humanSeconds('1h30m')).toBe(5_400);
    expect(own.humanBytes('64MiB')).toBe(64 * 2 ** 20);
    expect([own.humanSeconds('soon'), own.humanBytes(7)]).toEqual([undefined, undefined]);
  });
});

describe('ownHeadline', () => {
  const costs = own.costsOf(storage, metrics(), status, undefined);
  const said = (more = '') => {
    const all = metrics(more);
    return own.ownHeadline(own.checksOf(all, status, storage), costs, all).replaceAll(THIN, ' ');
  };
  it('says well, refused, or what is wrong', () => {
    expect(said()).toBe('Immune is well and refused nothing; telemetry takes 48.8 KiB of disk');
    expect(said('immune_refused_requests_total{signal="logs"} 4\n')).toContain(
      'refused 4 requests',
    );
    expect(said('immune_journal_conflicts_total 1\n')).toBe(
      'Immune itself is in trouble: Journal conflicts: 1',
    );
  });
});

describe('originWords', () => {
  it('says where a value was written', () => {
    const of = (origin: unknown) =>
      own.originWords(origin as Setting['origin'], '/etc/immune.yaml');
    expect(of('default')).toBe('default');
    expect(of({ file: { line: 7 } })).toBe('immune.yaml:7');
    expect(of({ environment: { line: 8, names: ['PORT'] } })).toBe('$PORT in immune.yaml:8');
    expect(of({ option: { name: '--data' } })).toBe('option --data');
  });
});

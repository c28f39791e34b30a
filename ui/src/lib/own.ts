// How Immune itself is: what of its figures is as it should be, and what its telemetry costs.

import type { ServerStatus, Setting, StorageStatus } from '../api/schema';
import { sumOf, valueOf, type Exposition } from './exposition';
import { bytes, count, took } from './format';

export type Judged = 'plain' | 'risk' | 'bad';

export interface Check {
  name: string;
  value: string;
  /** What it means, or what to do. */
  about: string;
  judged: Judged;
}

/** The loop steps each second; healing rests when it is this late. */
const LATE_S = 10;
const SKEW_MAX_S = 5;
const MEMORY_FULL = 0.9;

/** Trouble first; of equal ones in this order. */
export function checksOf(
  metrics: Exposition,
  status: ServerStatus,
  storage: StorageStatus | undefined,
): Check[] {
  const value = (name: string) => valueOf(metrics, name);
  const checks: Check[] = [];
  const add = (check: Check | false) => check && checks.push(check);
  /** A counter that stays 0 in good health. */
  const none = (name: string, title: string, about: string, judged: Judged = 'bad') => {
    const found = value(name);
    if (found !== undefined)
      add({ name: title, value: count(found), about, judged: found > 0 ? judged : 'plain' });
  };
  const lag = value('immune_tick_lag_seconds');
  add(
    lag !== undefined && {
      name: 'Loop behind',
      value: took(lag),
      about: 'it steps each second',
      judged: lag > LATE_S ? 'bad' : 'plain',
    },
  );
  add({
    name: 'Agent',
    value: status.agent_connected ? 'connected' : 'not connected',
    about: status.agent_connected ? 'the hands on this host' : 'nothing can be acted on',
    judged: status.agent_connected ? 'plain' : 'risk',
  });
  const waiting = value('immune_log_waiting_bytes');
  add(
    waiting !== undefined && {
      name: 'Input log',
      value: `${bytes(waiting)} waiting`,
      about: `${count(value('immune_log_fsyncs_total'))} group commits since the start`,
      judged: 'plain',
    },
  );
  none('immune_log_failed_commits_total', 'Log entries not taken', 'is the disk full, or broken?');
  none('immune_journal_conflicts_total', 'Journal conflicts', 'events that were lost');
  if (storage) {
    const share = storage.memory_bytes / Math.max(1, storage.memory_bytes_max);
    add({
      name: 'Telemetry in memory',
      value: `${bytes(storage.memory_bytes)} of ${bytes(storage.memory_bytes_max)}`,
      about: 'until it is in files; at the bound senders are told to come again',
      judged: share > MEMORY_FULL ? 'risk' : 'plain',
    });
    add({
      name: 'Free disk',
      value: bytes(storage.disk_free_bytes),
      about: `at least ${bytes(storage.disk_needed_bytes)} is needed`,
      judged: storage.disk_state === 'ok' ? 'plain' : 'bad',
    });
    for (const trouble of storage.trouble)
      add({ name: 'Storage', value: 'trouble', about: trouble, judged: 'bad' });
  }
  const resident = value('process_resident_memory_bytes');
  add(
    resident !== undefined && {
      name: 'Memory of the server',
      value: bytes(resident),
      about: 'resident',
      judged: 'plain',
    },
  );
  none('immune_late_spans_total', 'Late spans', 'ended too long ago to be judged', 'risk');
  none('immune_over_limit_items_total', 'Over a limit', 'left out: see observe.limits', 'risk');
  none('immune_orphan_spans_total', 'Orphan spans', 'their parent never came', 'plain');
  none('immune_trees_cut_total', 'Traces not read', 'at a bound of observe.trees', 'plain');
  const skew = value('immune_clock_skew_max_seconds');
  add(
    skew !== undefined && {
      name: 'Clock skew of senders',
      value: took(skew),
      about: 'the largest seen',
      judged: skew > SKEW_MAX_S ? 'risk' : 'plain',
    },
  );
  const order: Judged[] = ['bad', 'risk', 'plain'];
  return checks.sort((a, b) => order.indexOf(a.judged) - order.indexOf(b.judged));
}

export interface Cost {
  table: string;
  /** What one is called, many of them. */
  items: string;
  points: number;
  files: number;
  bytes: number;
  per_item: number | undefined;
  /** At the mean rate since the start. */
  per_day: number | undefined;
  /** Kept for so many seconds, as configured. */
  keep_s: number | undefined;
  size_max: number | undefined;
  /** Once it has run for as long as it keeps, or at the bound. */
  projected: number | undefined;
  /** The bound deletes before the age does. */
  cut: boolean;
}

const TABLES: Record<string, { signal: string; items: string }> = {
  spans: { signal: 'traces', items: 'spans' },
  logs: { signal: 'logs', items: 'log records' },
  samples: { signal: 'metrics', items: 'samples' },
};
const DAY_S = 86_400;
/** Before that a rate says little. */
const RATE_AFTER_S = 60;

export function costsOf(
  storage: StorageStatus,
  metrics: Exposition,
  status: ServerStatus,
  settings: Setting[] | undefined,
): Cost[] {
  const up_s = (Date.parse(status.now) - Date.parse(status.started)) / 1_000;
  return storage.tables.map((table) => {
    const { signal, items } = TABLES[table.table] ?? { signal: table.table, items: table.table };
    const setting = (name: string) =>
      settings?.find(({ path }) => path === `storage.${signal}.${name}`)?.value;
    const received = metrics.samples
      .filter(
        ({ name, labels }) => name === 'immune_received_items_total' && labels.signal === signal,
      )
      .reduce((sum, { value }) => sum + value, 0);
    const per_item = table.points > 0 ? table.bytes / table.points : undefined;
    const per_day =
      per_item !== undefined && up_s > RATE_AFTER_S
        ? (received / up_s) * DAY_S * per_item
        : undefined;
    const keep_s = humanSeconds(setting('keep'));
    const size_max = humanBytes(setting('size_max'));
    const full =
      per_day !== undefined && keep_s !== undefined ? (per_day * keep_s) / DAY_S : undefined;
    const cut = full !== undefined && size_max !== undefined && full > size_max;
    return {
      table: table.table,
      items,
      points: table.points,
      files: table.files,
      bytes: table.bytes,
      per_item,
      per_day,
      keep_s,
      size_max,
      projected: cut ? size_max : full,
      cut,
    };
  });
}

const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3_600, d: DAY_S };

/** Seconds of `1h30m`; undefined where it is none. */
export function humanSeconds(text: unknown): number | undefined {
  if (typeof text !== 'string' || !/^(\d+(ms|s|m|h|d))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+)(ms|s|m|h|d)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * SECONDS[unit!]!,
    0,
  );
}

const SIZES: Record<string, number> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Bytes of `64MiB`; undefined where it is none. */
export function humanBytes(text: unknown): number | undefined {
  const found = typeof text === 'string' ? /^(\d+)([kMG]?B|[KMG]iB)$/.exec(text) : null;
  return found ? Number(found[1]) * SIZES[found[2]!]! : undefined;
}

/** The sentence of the page. */
export function ownHeadline(checks: Check[], costs: Cost[], metrics: Exposition): string {
  const refused = sumOf(metrics, 'immune_refused_requests_total');
  const bad = checks.filter(({ judged }) => judged === 'bad');
  const total = costs.reduce((sum, cost) => sum + cost.bytes, 0);
  const disk = `telemetry takes ${bytes(total)} of disk`;
  if (bad.length > 0) {
    const first = bad[0]!;
    const what = first.name === 'Storage' ? first.about : `${first.name}: ${first.value}`;
    return `Immune itself is in trouble: ${what}`;
  }
  if (refused > 0)
    return `Immune is well, but refused ${count(refused)} requests with telemetry; ${disk}`;
  return `Immune is well and refused nothing; ${disk}`;
}

/** What it comes to, in words; empty where nothing is known. */
export function projection(costs: Cost[]): string {
  const days = costs.map((cost) => cost.per_day);
  if (days.some((day) => day === undefined)) return '';
  const a_day = days.reduce((sum: number, day) => sum + day!, 0);
  const full = costs.map((cost) => cost.projected);
  const settled = full.every((one) => one !== undefined)
    ? ` and settles at ${bytes(full.reduce((sum: number, one) => sum + one!, 0))}`
    : '';
  return `At the mean rate since the start it grows by ${bytes(a_day)} a day${settled}.`;
}

/** Where a value comes from, in words. */
export function originWords(origin: Setting['origin'], file: string | null | undefined): string {
  if (origin === 'default') return 'default';
  const name = file?.split('/').at(-1) ?? 'configuration';
  if ('file' in origin) return `${name}:${origin.file.line}`;
  if ('environment' in origin)
    return `${origin.environment.names.map((one) => `$${one}`).join(', ')} in ${name}:${origin.environment.line}`;
  return `option ${origin.option.name}`;
}

/** A value as it is written. */
export function settingWords(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (Array.isArray(value) && value.length === 0) return 'none';
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

// The log records of a question: pages of what is stored, and before them what comes live.
//
// Newest first (or oldest first, without what comes live). Bounded: beyond RECORDS_MAX one has to
// narrow the time. While somebody reads, what comes live waits and is counted.

import { ApiError, events, get, type Query } from '../../api/client';
import type { LogEntry, LogPage } from '../../api/schema';
import { Resources } from '../../lib/logtext';

export const RECORDS_MAX = 250_000;
/** Of these it is told what they have in common. */
export const LOOKED_AT = 5_000;
/** Records that came live and are kept. */
const LIVE_MAX = 10_000;
const FIRST_PAGE = 300;
const PAGE_GROWTH = 4;
const PAGE_MAX = 5_000;
/** What comes live is shown at most so often. */
const SHOW_EVERY_MS = 250;
const AGAIN_AFTER_MS = [1_000, 2_000, 5_000, 10_000];

interface Told {
  records: LogEntry[];
  left_out: number;
  missed_batches: number;
}

export class LogSearch {
  records = $state.raw<LogEntry[]>([]);
  /** The first page is under way. */
  loading = $state(false);
  reading = $state(false);
  error = $state.raw<ApiError>();
  next = $state.raw<string>();
  /** Why the last page is not full. */
  truncated = $state.raw<LogPage['truncated']>();
  missingFiles = $state(0);
  /** When the last page came of those that are looked at. */
  loadedAt = $state<number>();
  /** Live records that wait until nobody reads. */
  waiting = $state.raw<LogEntry[]>([]);
  leftOut = $state(0);
  tail = $state<'off' | 'on' | 'lost'>('off');
  tailError = $state<string>();
  /** Somebody reads: nothing may move. */
  held = $state(false);
  #resources = new Resources();
  #query: Query = {};
  #page = FIRST_PAGE;
  #abort = new AbortController();

  /** Asks anew. `live` goes on with what comes. */
  async start(query: Query, live: boolean): Promise<void> {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.#query = query;
    this.#page = FIRST_PAGE;
    this.#resources = new Resources();
    Object.assign(this, { next: undefined, error: undefined, waiting: [], leftOut: 0 });
    if (live) void this.#follow(query.query as string, abort.signal);
    this.loading = true;
    await this.#read(true);
    if (this.#abort === abort) this.loading = false;
  }

  stop(): void {
    this.#abort.abort();
    this.tail = 'off';
    this.tailError = undefined;
  }

  get full(): boolean {
    return this.records.length >= RECORDS_MAX;
  }

  /** The next page, where there is one. */
  async readOn(): Promise<void> {
    if (this.reading || this.loading || this.next === undefined || this.error || this.full) return;
    this.reading = true;
    await this.#read(false);
    this.reading = false;
  }

  async tryAgain(): Promise<void> {
    this.error = undefined;
    if (this.loadedAt !== undefined && this.next !== undefined) await this.readOn();
    else await this.start(this.#query, this.tail !== 'off');
  }

  async #read(first: boolean): Promise<void> {
    const { signal } = this.#abort;
    try {
      const ask = { ...this.#query, limit: this.#page, after: first ? undefined : this.next };
      const page = await get<LogPage>('/api/v1/logs', ask, signal);
      if (signal.aborted) return;
      this.#page = Math.min(PAGE_MAX, this.#page * PAGE_GROWTH);
      const records = this.#resources.share(page.records);
      if (first) this.#dropKnown(records);
      this.records = first ? records : [...this.records, ...records];
      this.next = page.next ?? undefined;
      this.truncated = page.truncated ?? undefined;
      this.missingFiles = page.scanned.missing_files;
      if (first || this.records.length - records.length < LOOKED_AT) this.loadedAt = Date.now();
    } catch (error) {
      if (signal.aborted) return;
      this.error = error instanceof ApiError ? error : new ApiError(String(error), 0);
    }
  }

  /** What came live while the first page was asked for may be in it too. */
  #dropKnown(records: LogEntry[]): void {
    if (this.waiting.length === 0) return;
    const key = (entry: LogEntry) => JSON.stringify(entry);
    const known = new Set(records.slice(0, 1_000).map(key));
    this.waiting = this.waiting.filter((entry) => !known.has(key(entry)));
  }

  async #follow(query: string | undefined, signal: AbortSignal): Promise<void> {
    const show = setInterval(() => this.#show(), SHOW_EVERY_MS);
    signal.addEventListener('abort', () => clearInterval(show), { once: true });
    let failed = 0;
    while (!signal.aborted) {
      try {
        this.tail = 'on';
        for await (const event of events('/api/v1/logs/tail', { query }, signal)) {
          failed = 0;
          this.tailError = undefined;
          if (event.type === 'records') this.#take(JSON.parse(event.data) as Told);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.tailError = error instanceof Error ? error.message : String(error);
      }
      if (signal.aborted) return;
      this.tail = 'lost';
      const pause = AGAIN_AFTER_MS[Math.min(failed, AGAIN_AFTER_MS.length - 1)]!;
      failed += 1;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #take(told: Told): void {
    this.leftOut += told.left_out;
    const fresh = this.#resources.share(told.records).reverse();
    const waiting = [...fresh, ...this.waiting];
    this.leftOut += Math.max(0, waiting.length - LIVE_MAX);
    this.waiting = waiting.slice(0, LIVE_MAX);
  }

  #show(): void {
    if (!this.held && !this.loading) this.showWaiting();
  }

  /** Puts what waits at the top. */
  showWaiting(): void {
    if (this.waiting.length === 0) return;
    this.records = [...this.waiting, ...this.records].slice(0, RECORDS_MAX);
    this.waiting = [];
  }
}

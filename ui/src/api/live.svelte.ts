// What every page wants to know at once: how Immune is, who asks, and which incidents, plans and
// drills there are. Pages read it and never ask for it again.
//
// It comes as it happens, through the server's stream, while somebody looks. Where there is no
// stream, or it has ended or gone silent, all is asked for each two seconds until there is one again.

import { clock } from '../lib/clock.svelte';
import { flowsBetween, replaced, type Flow } from '../lib/live';
import { mayNot, type Asker, type Need } from '../lib/role';
import { ApiError, events, get, type ServerEvent } from './client';
import type { DrillRecord, Incident, PlanOutlook, ServerStatus } from './schema';

const EVERY_MS = 2_000;
/** The status comes each second: a stream without one for so long is dead. */
const SILENT_MS = 10_000;
/** After a stream that could not be opened. */
const STREAM_AGAIN_MS = 30_000;
/** Telemetry comes in batches: what comes in a second is told over so long. */
const FLOW_MS = 65_000;
/** Over less than this a rate says more about when exports come than about what comes. */
const FLOW_MS_MIN = 5_000;

class Live {
  status = $state.raw<ServerStatus>();
  incidents = $state.raw<Incident[]>();
  plans = $state.raw<PlanOutlook[]>();
  drills = $state.raw<DrillRecord[]>();
  /** Who asks; undefined while that is not known. */
  me = $state.raw<Asker>();
  /** What comes in a second, by signal. */
  flows = $state.raw<Flow[]>([]);
  error = $state<ApiError>();
  /** Milliseconds of this browser's clock at the last good answer. */
  answeredAt = $state<number>();
  /** Does it come as it happens, or is it asked for? */
  streaming = $state(false);
  #statuses: { at: number; status: ServerStatus }[] = [];
  #asking: Promise<void> | undefined;
  #streamFrom = 0;
  #plansTimer: ReturnType<typeof setTimeout> | undefined;
  #woken = () => {};

  open = $derived((this.incidents ?? []).filter((incident) => incident.state !== 'resolved'));
  waiting = $derived((this.plans ?? []).filter((plan) => plan.state === 'awaiting_approval'));
  running = $derived((this.drills ?? []).find((record) => record.drill.phase !== 'done'));

  start(): void {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#woken();
    });
    void this.#keep();
  }

  /** Asks now, such as after an act of the user. */
  async ask(): Promise<void> {
    await (this.#asking ??= this.#askAll().finally(() => (this.#asking = undefined)));
    this.#woken();
  }

  /** Why the caller may not do what takes this role; undefined when it may. */
  refusal(need: Need): string | undefined {
    return mayNot(this.me, need);
  }

  async #keep(): Promise<never> {
    await this.ask();
    for (;;) {
      if (!document.hidden && this.error?.status !== 401) {
        if (Date.now() >= this.#streamFrom) await this.#follow();
        await this.ask();
      }
      await new Promise<void>((resolve) => {
        this.#woken = resolve;
        // A page that waits for a token, or that nobody looks at, asks when it is woken.
        const resting = document.hidden || this.error?.status === 401;
        if (!resting) setTimeout(resolve, EVERY_MS);
      });
    }
  }

  async #askAll(): Promise<void> {
    try {
      const [status, incidents, plans, drills] = await Promise.all([
        get<ServerStatus>('/api/v1/status'),
        get<Incident[]>('/api/v1/incidents'),
        get<PlanOutlook[]>('/api/v1/plans'),
        get<DrillRecord[]>('/api/v1/drills'),
      ]);
      this.#heard(status);
      Object.assign(this, { incidents, plans, drills });
      this.error = undefined;
      this.me ??= await get<Asker>('/api/v1/me').catch(() => undefined);
    } catch (error) {
      this.error = error instanceof ApiError ? error : new ApiError(String(error), 0);
      if (this.error.status === 401) this.me = undefined;
    }
  }

  /** Takes what the stream tells, until it ends, is silent for too long, or nobody looks. */
  async #follow(): Promise<void> {
    const abort = new AbortController();
    const end = () => abort.abort();
    const hidden = () => document.hidden && end();
    let silent = setTimeout(end, SILENT_MS);
    document.addEventListener('visibilitychange', hidden);
    try {
      for await (const event of events('/api/v1/stream', undefined, abort.signal)) {
        clearTimeout(silent);
        silent = setTimeout(end, SILENT_MS);
        if (!this.streaming || event.type === 'reset') {
          this.streaming = true;
          // What happened before the stream began it does not tell.
          await this.ask();
          this.#plansSoon(EVERY_MS);
        }
        this.#take(event);
      }
    } catch (error) {
      // One that ended is opened again at once; one that could not be opened, later.
      if (!this.streaming) {
        const after = error instanceof ApiError ? error.retryAfter : undefined;
        this.#streamFrom = Date.now() + (after ? after * 1_000 : STREAM_AGAIN_MS);
      }
    } finally {
      clearTimeout(silent);
      document.removeEventListener('visibilitychange', hidden);
      this.streaming = false;
    }
  }

  #take(event: ServerEvent): void {
    if (event.type === 'status') {
      this.#heard(JSON.parse(event.data) as ServerStatus);
    } else if (event.type === 'drill') {
      this.drills = replaced(this.drills, JSON.parse(event.data) as DrillRecord);
    } else if (event.type === 'journal') {
      const line = JSON.parse(event.data) as { incident?: Incident; plan?: unknown };
      if (line.incident) this.incidents = replaced(this.incidents, line.incident);
      if (line.plan) this.#plansSoon(0);
    }
  }

  /** A line of the journal has the plan itself, not how it stands now: that is asked for. */
  #plansSoon(after: number): void {
    this.#plansTimer ??= setTimeout(() => void this.#askPlans(), after);
  }

  async #askPlans(): Promise<void> {
    this.#plansTimer = undefined;
    // What fails here is asked for again with all else, when the stream has ended too.
    const plans = await get<PlanOutlook[]>('/api/v1/plans').catch(() => undefined);
    if (plans) this.plans = plans;
    if (this.streaming && this.plans?.some((plan) => plan.state === 'verifying')) {
      this.#plansSoon(EVERY_MS);
    }
  }

  #heard(status: ServerStatus): void {
    const at = Date.parse(status.now);
    clock.correct(at);
    this.status = status;
    this.answeredAt = Date.now();
    this.error = undefined;
    this.#statuses = [
      ...this.#statuses.filter((old) => old.at < at && old.at > at - FLOW_MS),
      { at, status },
    ];
    const first = this.#statuses[0]!;
    if (at - first.at >= FLOW_MS_MIN) {
      this.flows = flowsBetween(first.status.telemetry, status.telemetry, (at - first.at) / 1_000);
    }
  }
}

export const live = new Live();
export type { Flow };

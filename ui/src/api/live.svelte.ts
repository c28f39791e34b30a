// What every page wants to know at once: how Immune is, and which incidents, plans and drills there
// are. Asked for each two seconds while somebody looks; pages read it and never ask for it again.

import { clock } from '../lib/clock.svelte';
import { ApiError, get } from './client';
import type { Drill, Incident, Plan, Status } from './schema';

const EVERY_MS = 2_000;

export interface Flow {
  signal: string;
  items_per_s: number;
  refused_per_s: number;
}

class Live {
  status = $state.raw<Status>();
  incidents = $state.raw<Incident[]>();
  plans = $state.raw<Plan[]>();
  drills = $state.raw<Drill[]>();
  /** What comes in a second, by signal, from the last two answers. */
  flows = $state.raw<Flow[]>([]);
  error = $state<ApiError>();
  /** Milliseconds of this browser's clock at the last good answer. */
  answeredAt = $state<number>();
  #last: { at: number; status: Status } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking = false;

  open = $derived((this.incidents ?? []).filter((incident) => incident.state !== 'resolved'));
  waiting = $derived((this.plans ?? []).filter((plan) => plan.state === 'awaiting_approval'));

  start(): void {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.ask();
    });
    void this.ask();
  }

  /** Asks now, such as after an act of the user. */
  async ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    try {
      const [status, incidents, plans, drills] = await Promise.all([
        get<Status>('/api/v1/status'),
        get<Incident[]>('/api/v1/incidents'),
        get<Plan[]>('/api/v1/plans'),
        get<Drill[]>('/api/v1/drills'),
      ]);
      this.#measure(status);
      Object.assign(this, { status, incidents, plans, drills });
      this.error = undefined;
      this.answeredAt = Date.now();
    } catch (error) {
      this.error = error instanceof ApiError ? error : new ApiError(String(error), 0);
    } finally {
      this.#asking = false;
    }
    // A page that waits for a token asks again when it has one.
    if (!document.hidden && this.error?.status !== 401) {
      this.#timer = setTimeout(() => void this.ask(), EVERY_MS);
    }
  }

  #measure(status: Status): void {
    const at = Date.parse(status.now);
    clock.correct(at);
    const last = this.#last;
    this.#last = { at, status };
    if (last === undefined || at <= last.at) return;
    const seconds = (at - last.at) / 1_000;
    const flows = new Map<string, Flow>();
    for (const now of status.telemetry) {
      const then = last.status.telemetry.find(
        (t) => t.signal === now.signal && t.transport === now.transport,
      );
      const flow = flows.get(now.signal) ?? {
        signal: now.signal,
        items_per_s: 0,
        refused_per_s: 0,
      };
      flow.items_per_s += Math.max(0, now.items - (then?.items ?? 0)) / seconds;
      flow.refused_per_s +=
        Math.max(0, now.refused_requests - (then?.refused_requests ?? 0)) / seconds;
      flows.set(now.signal, flow);
    }
    this.flows = [...flows.values()];
  }
}

export const live = new Live();

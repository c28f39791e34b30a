// Something that is asked for: what came, what went wrong, and that it is under way.
//
// What was there stays while it is asked for again, and when that fails: the page then says so.

import { ApiError } from '../api/client';

export class Loader<T> {
  value = $state.raw<T>();
  error = $state<ApiError>();
  /** Asked for, not yet answered. */
  loading = $state(false);
  /** When `value` came, milliseconds of this browser's clock. */
  loadedAt = $state<number>();
  #abort: AbortController | undefined;

  /** Asks; a question that is still under way is given up. */
  async load(ask: (signal: AbortSignal) => Promise<T>): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.loading = true;
    try {
      const value = await ask(abort.signal);
      if (abort.signal.aborted) return;
      this.value = value;
      this.error = undefined;
      this.loadedAt = Date.now();
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error = error instanceof ApiError ? error : new ApiError(String(error), 0);
    } finally {
      if (this.#abort === abort) this.loading = false;
    }
  }

  stop(): void {
    this.#abort?.abort();
    this.loading = false;
  }
}

/**
 * A loader that asks when what `ask` reads changes, and again each `every` milliseconds while the
 * page is looked at. To be called while a component is set up. `ask` reads its parameters before
 * its first await and may return undefined: nothing is asked then.
 */
export function loaded<T>(
  ask: (signal: AbortSignal) => Promise<T> | undefined,
  every?: number,
): Loader<T> & { again: () => void } {
  const loader = new Loader<T>() as Loader<T> & { again: () => void };
  let round = $state(0);
  loader.again = () => (round += 1);
  $effect(() => {
    void round;
    const abort = new AbortController();
    const promise = ask(abort.signal);
    if (promise === undefined) return;
    void loader.load((signal) => {
      signal.addEventListener('abort', () => abort.abort(), { once: true });
      return promise;
    });
    const timer = every === undefined ? undefined : setTimeout(later, every);
    function later() {
      if (document.hidden)
        document.addEventListener('visibilitychange', loader.again, { once: true });
      else loader.again();
    }
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', loader.again);
      abort.abort();
    };
  });
  return loader;
}

// Rows that never jump while somebody points at them: values change in place, what is new waits.

export interface Steady<T> {
  rows: T[];
  /** How many wait to be shown. */
  waiting: number;
}

/** `current` in the order of `taken`, which names the rows that were shown when they were taken hold of. */
export function heldRows<T>(
  current: T[],
  taken: T[] | undefined,
  key: (row: T) => string | number,
): Steady<T> {
  if (taken === undefined) return { rows: current, waiting: 0 };
  const now = new Map(current.map((row) => [key(row), row]));
  const shown = new Set(taken.map(key));
  return {
    // What has left the list stays as it was until the rows are let go.
    rows: taken.map((row) => now.get(key(row)) ?? row),
    waiting: current.filter((row) => !shown.has(key(row))).length,
  };
}

/**
 * Holds the rows of a list while pointer or focus is on it. To be made while a component is set up;
 * another `question` shows other rows at once.
 */
export class Held<T> {
  #taken = $state.raw<T[]>();
  #pointed = false;
  #focused = false;
  #rows: () => T[];
  shown: Steady<T>;

  constructor(rows: () => T[], key: (row: T) => string | number, question: () => unknown) {
    this.#rows = rows;
    this.shown = $derived(heldRows(rows(), this.#taken, key));
    $effect(() => {
      void question();
      this.#taken = undefined;
    });
  }

  /** Shows what waits. */
  renew(): void {
    this.#taken = this.#rows();
  }

  #is(pointed: boolean, focused: boolean): void {
    [this.#pointed, this.#focused] = [pointed, focused];
    if (!pointed && !focused) this.#taken = undefined;
    else this.#taken ??= this.#rows();
  }

  /** To be attached to the element around the rows. */
  list = (element: HTMLElement) => {
    const stop = new AbortController();
    const { signal } = stop;
    const goesOn = (event: FocusEvent) => element.contains(event.relatedTarget as Node | null);
    element.addEventListener('pointerenter', () => this.#is(true, this.#focused), { signal });
    element.addEventListener('pointerleave', () => this.#is(false, this.#focused), { signal });
    element.addEventListener('focusin', () => this.#is(this.#pointed, true), { signal });
    element.addEventListener('focusout', (left) => this.#is(this.#pointed, goesOn(left)), {
      signal,
    });
    return () => {
      stop.abort();
      this.#is(false, false);
    };
  };
}

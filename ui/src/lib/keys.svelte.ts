// Keys. A page says which it understands while it is shown; the newest that knows a key gets it.
// Single keys rest while a field has the focus, while a dialog is open, or when turned off.

import { untrack } from 'svelte';

export interface Key {
  /** `j`, `Enter`, `?`, or two in a row: `g i`. */
  key: string;
  /** What it does, for the table behind `?`. */
  does: string;
  run: () => void;
}

const SECOND_KEY_WITHIN_MS = 1_000;
const OFF = 'immune-keys-off';

class Keys {
  #layers = $state.raw<Key[][]>([]);
  off = $state(localStorage.getItem(OFF) !== null);
  #first: { key: string; at: number } | undefined;

  /** All that can be pressed now, those of the page first. */
  known = $derived(this.#layers.toReversed().flat());

  /** To be called in an effect: returns what takes the keys away. */
  add(keys: Key[]): () => void {
    // Whoever adds keys does not wait for those of others.
    untrack(() => (this.#layers = [...this.#layers, keys]));
    return () => untrack(() => (this.#layers = this.#layers.filter((layer) => layer !== keys)));
  }

  turn(off: boolean): void {
    this.off = off;
    if (off) localStorage.setItem(OFF, 'yes');
    else localStorage.removeItem(OFF);
  }

  pressed(event: KeyboardEvent): void {
    if (this.off || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey)
      return;
    const target = event.target as HTMLElement;
    if (target.closest('input, select, textarea, [contenteditable], dialog')) return;
    // Enter and space on a link or a button are its own.
    if ((event.key === 'Enter' || event.key === ' ') && target.closest('a, button, summary'))
      return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const first = this.#first;
    this.#first = undefined;
    const pair =
      first && event.timeStamp - first.at < SECOND_KEY_WITHIN_MS
        ? this.known.find((k) => k.key === `${first.key} ${key}`)
        : undefined;
    const found = pair ?? this.known.find((k) => k.key === key);
    if (found) {
      event.preventDefault();
      found.run();
    } else if (this.known.some((k) => k.key.startsWith(`${key} `))) {
      this.#first = { key, at: event.timeStamp };
    }
  }
}

export const keys = new Keys();

/** The keys of a component while it is shown. To be called while it is set up. */
export function useKeys(list: () => Key[]): void {
  $effect(() => {
    const mine = list();
    // Adding reads and writes what is known; that must not run this again.
    return untrack(() => keys.add(mine));
  });
}

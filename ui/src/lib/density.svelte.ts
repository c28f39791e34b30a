// How dense rows are: usual, or compact as chosen here (or by a link with `?density=compact`).
// What is chosen is remembered in this browser.

import { here } from './router.svelte';

const KEPT = 'immune-density';

class Density {
  #kept = $state(localStorage.getItem(KEPT) === 'compact');
  compact = $derived((here.query.get('density') ?? (this.#kept ? 'compact' : '')) === 'compact');

  choose(compact: boolean): void {
    this.#kept = compact;
    if (compact) localStorage.setItem(KEPT, 'compact');
    else localStorage.removeItem(KEPT);
    if (here.query.has('density')) here.set({ density: null }, { replace: true });
  }

  /** Shows it; to be called in an effect. */
  show(): void {
    if (this.compact) document.documentElement.dataset.density = 'compact';
    else delete document.documentElement.dataset.density;
  }
}

export const density = new Density();

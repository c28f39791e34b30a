// Light, dark, or as the system has it. A link may name one (`?theme=dark`); what is chosen here is
// remembered in this browser.

import { here } from './router.svelte';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEPT = 'immune-theme';

function asTheme(text: string | null): Theme | undefined {
  return THEMES.find((theme) => theme === text);
}

class Choice {
  #kept = $state<Theme>(asTheme(localStorage.getItem(KEPT)) ?? 'system');
  now = $derived(asTheme(here.query.get('theme')) ?? this.#kept);

  choose(theme: Theme): void {
    this.#kept = theme;
    if (theme === 'system') localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, theme);
    if (here.query.has('theme')) here.set({ theme: null }, { replace: true });
  }

  /** Shows it; to be called in an effect. */
  show(): void {
    if (this.now === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.now;
  }
}

export const theme = new Choice();

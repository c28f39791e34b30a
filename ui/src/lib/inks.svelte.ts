// Colours of tokens.css for a canvas, which cannot read them itself; read anew when the theme changes.

class Inks {
  #read = $state.raw<Record<string, string>>({});
  #names = new Set<string>();

  constructor() {
    const again = () => this.#all();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again);
    new MutationObserver(again).observe(document.documentElement, {
      attributeFilter: ['data-theme'],
    });
  }

  #all(): void {
    const probe = document.createElement('span');
    document.body.append(probe);
    const read: Record<string, string> = {};
    for (const name of this.#names) {
      probe.style.color = `var(--${name})`;
      read[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    this.#read = read;
  }

  /** The colours of these tokens, such as `s6`. To be called outside of effects and derivations. */
  want<Name extends string>(...names: Name[]): () => Record<Name, string> {
    for (const name of names) this.#names.add(name);
    this.#all();
    return () => this.#read as Record<Name, string>;
  }
}

export const inks = new Inks();

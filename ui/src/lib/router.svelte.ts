// Where we are. Path and query are the state that can be shared: pages read them here and change
// them here, `back` undoes it, and a copied link shows the same.

export type Change = Record<string, string | string[] | null | undefined>;

class Location {
  path = $state(window.location.pathname);
  search = $state(window.location.search);
  query = $derived(new URLSearchParams(this.search));

  #read = () => {
    this.path = window.location.pathname;
    this.search = window.location.search;
  };

  constructor() {
    window.addEventListener('popstate', this.#read);
  }

  /** Goes to `url`, which must be of this origin. */
  go(url: string, { replace = false } = {}): void {
    if (replace) history.replaceState(null, '', url);
    else history.pushState(null, '', url);
    const moved = window.location.pathname !== this.path;
    this.#read();
    if (moved) window.scrollTo(0, 0);
  }

  /** Sets query parameters (null, undefined and '' take one away) and keeps the others. */
  set(change: Change, options?: { replace?: boolean }): void {
    this.go(this.with(change), options);
  }

  /** The link to this page with some query parameters changed. */
  with(change: Change): string {
    return linkTo(this.path, change, this.query);
  }
}

export const here = new Location();

/** `path` with the parameters of `base` as `change` has them. */
export function linkTo(path: string, change: Change = {}, base?: URLSearchParams): string {
  const query = new URLSearchParams(base);
  for (const [name, value] of Object.entries(change)) {
    query.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '') query.append(name, one);
    }
  }
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** Follows plain clicks on links of this origin without loading the page anew. */
export function followLinks(event: MouseEvent): void {
  const plain =
    event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  const link = (event.target as Element | null)?.closest?.('a');
  if (!plain || event.defaultPrevented || !link || link.target || link.hasAttribute('download'))
    return;
  const url = new URL(link.href, window.location.href);
  if (url.origin !== window.location.origin || url.pathname.startsWith('/api/')) return;
  event.preventDefault();
  if (url.hash && url.pathname === here.path && url.search === here.search) {
    document.querySelector(url.hash)?.scrollIntoView();
    return;
  }
  here.go(url.pathname + url.search + url.hash);
}

/** What `/incidents/:id` finds in a path; null where it does not match. */
export function matchPath(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split('/');
  const parts = path.replace(/\/+$/, '').split('/');
  if (wanted.length !== Math.max(parts.length, 2) && !(pattern === '/' && parts.length === 1))
    return null;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const given = parts[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== given) return null;
      continue;
    }
    if (given === '') return null;
    try {
      found[part.slice(1)] = decodeURIComponent(given);
    } catch {
      return null;
    }
  }
  return found;
}

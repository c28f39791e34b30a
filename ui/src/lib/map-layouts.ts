// Layouts of maps, from the worker or from the last visits: a map that was seen before stands at
// once, and as it stood.

import type { Layout, LayoutQuestion } from './map-layout';

const KEPT = 'immune-map-layouts';
const KEPT_MAX = 6;
/** A layout that takes more room in the browser's storage is made anew. */
const KEPT_CHARS_MAX = 400_000;

interface Asked {
  resolve: (layout: Layout) => void;
  reject: (error: Error) => void;
}

let worker: Worker | undefined;
let number = 0;
const asked = new Map<number, Asked>();

export async function layoutOf(question: LayoutQuestion): Promise<Layout> {
  const key = fingerprint(question);
  const known = kept().find(([of]) => of === key);
  if (known) return known[1];
  const layout = await ask(question);
  keep(key, layout);
  return layout;
}

function ask(question: LayoutQuestion): Promise<Layout> {
  worker ??= begin();
  const own = (number += 1);
  return new Promise((resolve, reject) => {
    asked.set(own, { resolve, reject });
    worker!.postMessage({ number: own, question });
  });
}

function begin(): Worker {
  const made = new Worker(new URL('./map.worker.ts', import.meta.url), { type: 'module' });
  made.onmessage = (event: MessageEvent<{ number: number; layout?: Layout; error?: string }>) => {
    const { number, layout, error } = event.data;
    const waiting = asked.get(number);
    asked.delete(number);
    if (layout) waiting?.resolve(layout);
    else waiting?.reject(new Error(error));
  };
  made.onerror = () => {
    for (const waiting of asked.values()) waiting.reject(new Error('the layout broke off'));
    asked.clear();
    worker = undefined;
  };
  return made;
}

/** Two hashes of 32 bits over all that a layout depends on (cyrb53 by bryc, public domain). */
export function fingerprint(question: LayoutQuestion): string {
  const text = JSON.stringify(question);
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return `2.${(b >>> 0).toString(36)}.${(a >>> 0).toString(36)}`;
}

function kept(): [string, Layout][] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT) ?? '[]');
    return Array.isArray(found) ? (found as [string, Layout][]) : [];
  } catch {
    return [];
  }
}

function keep(key: string, layout: Layout): void {
  if (JSON.stringify(layout).length > KEPT_CHARS_MAX) return;
  const rest = kept().filter(([of]) => of !== key);
  try {
    localStorage.setItem(KEPT, JSON.stringify([[key, layout], ...rest].slice(0, KEPT_MAX)));
  } catch {
    // The storage is full or not allowed: the map is laid out anew next time.
  }
}

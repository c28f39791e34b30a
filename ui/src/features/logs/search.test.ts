import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogSearch } from './search.svelte';

const record = (body: string) => ({ body, time: '2026-03-01T12:00:00Z', resource: { a: 1 } });
const scanned = { files: 0, row_groups: 0, rows: 0, missing_files: 0 };
let tail: ReadableStreamDefaultController<Uint8Array>;
let asked: string[];
let pages: Response[];

function page(bodies: string[], next: string | null): Response {
  const records = bodies.map(record);
  return Response.json({ records, next, truncated: null, scanned });
}
function comes(bodies: string[], left_out = 0): void {
  const data = JSON.stringify({ records: bodies.map(record), left_out, missed_batches: 0 });
  tail.enqueue(new TextEncoder().encode(`event: records\ndata: ${data}\n\n`));
}
const bodies = (search: LogSearch) => search.records.map((entry) => entry.body);

beforeEach(() => {
  asked = [];
  pages = [];
  vi.stubGlobal('sessionStorage', { getItem: () => null });
  vi.stubGlobal('fetch', async (url: string) => {
    asked.push(url);
    if (!url.includes('/tail')) return pages.shift();
    return new Response(new ReadableStream({ start: (controller) => void (tail = controller) }));
  });
});
afterEach(() => vi.unstubAllGlobals());

describe('LogSearch', () => {
  it('goes on where the page before ended, until there is no more', async () => {
    const search = new LogSearch();
    pages = [page(['c', 'b'], 'cursor'), page(['a'], null)];
    await search.start({ query: 'x' }, false);
    await search.readOn();
    await search.readOn();
    expect(bodies(search)).toEqual(['c', 'b', 'a']);
    expect(asked).toHaveLength(2);
    expect(asked[1]).toContain('after=cursor');
  });

  it('lets what comes live wait while somebody reads, newest first', async () => {
    const search = new LogSearch();
    pages = [page(['old'], null)];
    search.held = true;
    await search.start({ query: '' }, true);
    comes(['one', 'two'], 3);
    await vi.waitFor(() => expect(search.waiting).toHaveLength(2));
    expect(bodies(search)).toEqual(['old']);
    search.showWaiting();
    expect(bodies(search)).toEqual(['two', 'one', 'old']);
    expect(search.leftOut).toBe(3);
    search.stop();
  });

  it('keeps what it has when a page fails, and asks for that page again', async () => {
    const search = new LogSearch();
    pages = [page(['b'], 'cursor'), Response.json({ error: 'too many' }, { status: 503 })];
    await search.start({ query: '' }, false);
    await search.readOn();
    expect(search.error?.message).toBe('too many');
    expect(bodies(search)).toEqual(['b']);
    pages = [page(['a'], null)];
    await search.tryAgain();
    expect(bodies(search)).toEqual(['b', 'a']);
  });
});

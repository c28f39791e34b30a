// The one place that speaks with the server. Nobody else calls fetch.
//
// Requests are to the same origin. With tokens configured the server answers 401 until
// `useToken` was called; the token lives in this tab's session storage only.

export type Query = Record<string, string | number | boolean | string[] | undefined | null>;

/** What the server refused, or that it could not be reached (`status` 0). */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    /** Seconds after which asking again makes sense, where the server said so. */
    readonly retryAfter?: number,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

const TOKEN = 'immune-token';
/** What `public/early.js` asked for before this program was read; each answer serves once, at first. */
const EARLY_MS = 10_000;
const early = globalThis as { early?: Record<string, Promise<Response>> };

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN) !== null;
}

export function useToken(token: string | null): void {
  // What was asked for so early was asked for as somebody else.
  early.early = undefined;
  if (token === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
}

function headers(): HeadersInit {
  const token = sessionStorage.getItem(TOKEN);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** `path` with its query; absent and empty values are left out, lists are repeated. */
export function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') parameters.append(name, String(one));
    }
  }
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}

function asked(path: string, signal?: AbortSignal): Promise<Response> {
  const known = performance.now() < EARLY_MS ? early.early?.[path] : undefined;
  delete early.early?.[path];
  return known ?? fetch(path, { headers: headers(), signal });
}

async function answer(request: Promise<Response>): Promise<Response> {
  let response: Response;
  try {
    response = await request;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('Immune does not answer. Is it running?', 0);
  }
  if (response.ok) return response;
  const after = Number(response.headers.get('retry-after'));
  let message = `the server answered ${response.status}`;
  try {
    message = ((await response.json()) as { error?: string }).error ?? message;
  } catch {
    // Not our JSON: a proxy between us and the server. Its status must do.
  }
  throw new ApiError(
    message,
    response.status,
    Number.isFinite(after) && after > 0 ? after : undefined,
  );
}

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await answer(asked(withQuery(path, query), signal));
  return (await response.json()) as T;
}

/** What is not JSON: `/metrics`. */
export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  return (await answer(fetch(path, { headers: headers(), signal }))).text();
}

/** `body` is sent as JSON, or as it is where it is text (an experiment file). */
export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const type = typeof body === 'string' ? 'application/yaml' : 'application/json';
  const sent = fetch(path, {
    method: 'POST',
    headers: { ...headers(), 'content-type': type },
    body: text,
  });
  return (await (await answer(sent)).json()) as T;
}

/** One server-sent event. */
export interface ServerEvent {
  type: string;
  id?: string;
  data: string;
}

/**
 * Server-sent events, through fetch because EventSource cannot send a token.
 * Ends when the server ends it; throws as `get` does.
 */
export async function* events(
  path: string,
  query: Query | undefined,
  signal: AbortSignal,
  lastEventId?: string,
): AsyncGenerator<ServerEvent> {
  const resumed: HeadersInit = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const sent = fetch(withQuery(path, query), {
    headers: { ...headers(), ...resumed, accept: 'text/event-stream' },
    signal,
  });
  const response = await answer(sent);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r?\n\r?\n/);
      rest = parts.pop()!;
      for (const part of parts) {
        const event = parseEvent(part);
        if (event !== null) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** One block of an event stream; null for comments (the heartbeat). */
export function parseEvent(block: string): ServerEvent | null {
  const event: ServerEvent = { type: 'message', data: '' };
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event.type = value;
    else if (field === 'id') event.id = value;
    else if (field === 'data') data.push(value);
  }
  if (data.length === 0) return null;
  event.data = data.join('\n');
  return event;
}

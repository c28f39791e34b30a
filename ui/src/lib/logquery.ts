// Our log query language as far as the page writes it: terms that mean exactly one value, what is
// under the cursor (for completion), and where an error stands. The server reads the language;
// docs/logs.md explains it.

export const SEVERITIES = ['none', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Fields that are not attributes. */
export const FIELDS = [
  'service',
  'severity',
  'body',
  'trace',
  'span',
  'instance',
  'event',
  'scope',
] as const;

const RESERVED = new Set<string>([...FIELDS, 'span_id', 'trace_id']);
const RESOURCE = 'resource.';
const KEYWORDS = new Set(['AND', 'OR', 'NOT']);

function quoted(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t');
  return `"${escaped}"`;
}

function isBareKey(name: string): boolean {
  return /^[\p{Alphabetic}_@][^\s()":*]*$/u.test(name) && !KEYWORDS.has(name);
}

/** The name of an attribute as the language writes it. */
export function attributeField(name: string): string {
  const plain = isBareKey(name) && !RESERVED.has(name) && !name.startsWith(RESOURCE);
  return plain ? name : quoted(name);
}

export function resourceField(name: string): string {
  return RESOURCE + (isBareKey(name) ? name : quoted(name));
}

/** A value that means itself. */
export function value(text: string): string {
  return text !== '' && !/[\s()"*]/.test(text) && !/^[/<>]/.test(text) ? text : quoted(text);
}

/** The term `field:value`; `field` as the language writes it. */
export function term(field: string, text: string): string {
  return `${field}:${value(text)}`;
}

/** The text that a value of an attribute is compared as; undefined where none compares exactly. */
export function comparable(json: unknown): string | undefined {
  if (typeof json === 'string') return json;
  if (typeof json === 'number' || typeof json === 'boolean') return String(json);
  return undefined;
}

/** Whether `query` has an OR outside of parentheses, quotes and regexes. */
function hasOpenOr(query: string): boolean {
  let depth = 0;
  for (const [, mark, word] of query.matchAll(
    /"(?:\\.|[^"\\])*"|(?<=^|[\s(:-])\/(?:\\.|[^/\\])*\/i?|([()])|(?<![^\s()])(OR)(?![^\s()])/g,
  )) {
    if (mark === '(') depth += 1;
    else if (mark === ')') depth -= 1;
    else if (word && depth === 0) return true;
  }
  return false;
}

/** `query` that must also (or must not) match `one`. A term that says the contrary gives way. */
export function withTerm(query: string, one: string, negated = false): string {
  const said = negated ? `-${one}` : one;
  const contrary = negated ? one : `-${one}`;
  const terms = ` ${query.trim()} `;
  if (terms.includes(` ${said} `)) return query.trim();
  if (terms.includes(` ${contrary} `) && !hasOpenOr(query))
    return terms.replace(` ${contrary} `, ` ${said} `).trim();
  if (query.trim() === '') return said;
  return `${hasOpenOr(query) ? `(${query.trim()})` : query.trim()} ${said}`;
}

export interface UnderCursor {
  /** Where the part that a completion replaces begins. */
  from: number;
  /** The field before the colon, where the cursor is in a value. */
  field?: string;
  typed: string;
}

/** What is being typed at `cursor`; undefined within quotes and regexes. */
export function underCursor(query: string, cursor: number): UnderCursor | undefined {
  const before = query.slice(0, cursor);
  if ((before.replaceAll(/\\./g, '').match(/"/g) ?? []).length % 2 === 1) return undefined;
  const run = /[^\s()]*$/.exec(before)![0].replace(/^-+/, '');
  const colon = run.indexOf(':');
  if (colon < 0) return { from: cursor - run.length, typed: run };
  const typed = run.slice(colon + 1).replace(/^[<>]=?/, '');
  if (typed.startsWith('/')) return undefined;
  return { from: cursor - typed.length, field: run.slice(0, colon), typed };
}

/** What is known of the records at hand, for completion: values by field. */
export type Known = Map<string, Set<string>>;

export interface Completion {
  text: string;
  /** What kind of thing it is, in a word. */
  about: string;
}

const COMPLETIONS_MAX = 12;

export function completions(under: UnderCursor, known: Known): Completion[] {
  const typed = under.typed.toLowerCase();
  const matching = (names: Iterable<string>, about: string, end: string) =>
    [...names]
      .filter((name) => name.toLowerCase().includes(typed))
      .sort(
        (a, b) =>
          Number(b.toLowerCase().startsWith(typed)) - Number(a.toLowerCase().startsWith(typed)) ||
          a.localeCompare(b),
      )
      .map((name) => ({ text: name + end, about }));
  if (under.field === undefined) {
    if (typed === '') return [];
    const attributes = [...known.keys()].filter((name) => !RESERVED.has(name));
    return [...matching(FIELDS, 'field', ':'), ...matching(attributes, 'attribute', ':')].slice(
      0,
      COMPLETIONS_MAX,
    );
  }
  if (under.field === 'severity') {
    return matching(SEVERITIES, 'severity', '').filter((one) => one.text !== under.typed);
  }
  const values = [...(known.get(under.field) ?? [])].map(value);
  return matching(values, 'value', '')
    .filter((one) => one.text !== under.typed)
    .slice(0, COMPLETIONS_MAX);
}

export interface Misread {
  /** In characters, from 1. */
  column: number;
  message: string;
}

/** Where the server says that it could not read the query. */
export function misread(error: string): Misread | undefined {
  const found = /`query`: column (\d+): (.*)$/s.exec(error);
  return found === null ? undefined : { column: Number(found[1]), message: found[2]! };
}

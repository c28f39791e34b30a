// Which spans are asked for: the URL's filters, as chips, as the API takes them, and as people type
// them: `service=cart`, `duration>=250ms`, `http.route=~/api/.*`.

import type { Query } from '../api/client';
import { nanosOfText } from './nanos';
import type { Change } from './router.svelte';

export const STATUSES = ['error', 'ok', 'unset'] as const;
export const KINDS = ['server', 'client', 'producer', 'consumer', 'internal'] as const;

/** Filters that are given once. */
const SINGLE = ['service', 'operation', 'status', 'kind', 'min_duration', 'max_duration'] as const;
export const ATTRIBUTES_MAX = 16;

export interface Chip {
  name: string;
  value: string;
  /** The URL's query without it. */
  without: Change;
}

export function attributesOf(query: URLSearchParams): string[] {
  return [...new Set(query.getAll('attribute').filter((one) => one !== ''))];
}

export function chips(query: URLSearchParams): Chip[] {
  const NAMES: Record<string, string> = {
    min_duration: 'duration ≥',
    max_duration: 'duration ≤',
  };
  const list: Chip[] = [];
  for (const name of SINGLE) {
    const value = query.get(name);
    if (value) list.push({ name: NAMES[name] ?? name, value, without: { [name]: null } });
  }
  const attributes = attributesOf(query);
  for (const [index, value] of attributes.entries()) {
    const rest = attributes.filter((_, at) => at !== index);
    list.push({ name: '', value, without: { attribute: rest } });
  }
  return list;
}

/** Takes every filter away. */
export const UNFILTERED: Change = Object.fromEntries(
  [...SINGLE, 'attribute'].map((name) => [name, null]),
);

/** The filters as the API takes them. */
export function apiFilter(query: URLSearchParams): Query {
  const filter: Query = {};
  for (const name of SINGLE) filter[name] = query.get(name) ?? undefined;
  filter.attribute = attributesOf(query);
  return filter;
}

/** One more attribute filter, unless it is there. */
export function withAttribute(query: URLSearchParams, filter: string): Change {
  const given = attributesOf(query);
  return { attribute: given.includes(filter) ? given : [...given, filter] };
}

/** The filter that exactly one value of an attribute passes. */
export function attributeIs(name: string, value: string): string {
  const plain = value !== '' && !/^[\s"=~]|\s$/.test(value);
  return `${name}=${plain ? value : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`}`;
}

/** What the typed text changes in the URL, or why it is no filter. */
export function readFilter(text: string, query: URLSearchParams): Change | string {
  const typed = text.trim();
  const found = /^!?([^=!<>~\s]+)\s*(!=|=~|!~|>=|<=|=|>|<)?\s*([\s\S]*)$/.exec(typed);
  if (found === null || (!found[2] && found[3])) {
    return `“${typed}” is no filter: write name=value, such as service=cart or http.route=/pay`;
  }
  const [, name, operator = '', value = ''] = found as unknown as [string, string, string, string];
  if (name === 'duration') return duration(operator, value);
  if (name === 'service' || name === 'operation') {
    if (operator !== '=' || value === '')
      return `write ${name}=name; for anything else filter by an attribute`;
    return { [name]: value };
  }
  if (name === 'status' || name === 'kind') {
    const words: readonly string[] = name === 'status' ? STATUSES : KINDS;
    if (operator !== '=' || !words.includes(value)) return `write ${name}=${words.join(' or ')}`;
    return { [name]: value };
  }
  if (attributesOf(query).length >= ATTRIBUTES_MAX)
    return `at most ${ATTRIBUTES_MAX} attributes can be asked for`;
  if (/^(>=|<=|>|<)$/.test(operator) && !Number.isFinite(Number(value || 'x')))
    return `“${value}” is not a number: write one after ${operator}`;
  return withAttribute(query, typed);
}

function duration(operator: string, value: string): Change | string {
  if (nanosOfText(value) === null)
    return `“${value}” is not a duration: write for example 250ms, 10s or 1m30s`;
  if (operator === '>' || operator === '>=') return { min_duration: value };
  if (operator === '<' || operator === '<=') return { max_duration: value };
  return 'write duration>=250ms or duration<=10s';
}

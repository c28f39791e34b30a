// A log record as a line of text.

import type { LogEntry } from '../api/schema';
import { attributeField, comparable, resourceField, term, type Known } from './logquery';

const REST_MAX = 300;

function pairs(attributes: unknown): string {
  return Object.entries((attributes ?? {}) as Record<string, unknown>)
    .map(([name, value]) => `${name}=${comparable(value) ?? JSON.stringify(value)}`)
    .join(' ');
}

/** What stands beside the body in one line: its attributes. */
export function restText(entry: Pick<LogEntry, 'body' | 'attributes'>): string {
  if (entry.body === null || entry.body === undefined || entry.body === '') return '';
  const text = pairs(entry.attributes);
  return text.length > REST_MAX ? `${text.slice(0, REST_MAX)}…` : text;
}

/** What it says: its body, or what stands for one. */
export function bodyText(entry: Pick<LogEntry, 'body' | 'event_name' | 'attributes'>): string {
  const { body } = entry;
  if (typeof body === 'string' && body !== '') return body;
  if (body !== null && body !== undefined && body !== '') return JSON.stringify(body);
  return [entry.event_name, pairs(entry.attributes)].filter(Boolean).join(' ');
}

export interface LogField {
  name: string;
  text: string;
  /** The term that asks for it; absent for what no term compares exactly. */
  term?: string;
}

/** The fields of a record: its own, its attributes, its resource's. */
export function fieldsOf(entry: LogEntry): {
  own: LogField[];
  attributes: LogField[];
  resource: LogField[];
} {
  const own: LogField[] = [{ name: 'time', text: entry.time }];
  const add = (name: string, text: string | null | undefined, asked = true) => {
    if (text) own.push({ name, text, term: asked ? term(name, text) : undefined });
  };
  add('severity', entry.severity);
  if (entry.severity_text && entry.severity_text.toLowerCase() !== entry.severity)
    add('severity text', entry.severity_text, false);
  add('service', entry.service);
  add('instance', entry.instance);
  add('event', entry.event_name);
  add('scope', entry.scope);
  add('trace', entry.trace_id);
  add('span', entry.span_id);
  add('observed', entry.observed_time, false);
  add('arrived', entry.arrival, false);
  const fields = (json: unknown, field: (name: string) => string) =>
    Object.entries((json ?? {}) as Record<string, unknown>).map(([name, value]) => {
      const text = comparable(value);
      return {
        name,
        text: text ?? JSON.stringify(value),
        term: text === undefined ? undefined : term(field(name), text),
      };
    });
  return {
    own,
    attributes: fields(entry.attributes, attributeField),
    resource: fields(entry.resource, resourceField),
  };
}

const VALUES_MAX = 50;
const RECORDS_MAX = 2_000;

/** What completion can offer of the records at hand. */
export function knownOf(entries: LogEntry[]): Known {
  const known: Known = new Map();
  const add = (field: string, value: string | null | undefined) => {
    if (!value || value.length > 80) return;
    const values = known.get(field) ?? new Set();
    known.set(field, values);
    if (values.size < VALUES_MAX) values.add(value);
  };
  for (const entry of entries.slice(0, RECORDS_MAX)) {
    add('service', entry.service);
    add('instance', entry.instance);
    add('event', entry.event_name);
    add('scope', entry.scope);
    for (const [name, value] of Object.entries((entry.attributes ?? {}) as object))
      add(attributeField(name), comparable(value) ?? '*');
    for (const [name, value] of Object.entries((entry.resource ?? {}) as object))
      add(resourceField(name), comparable(value) ?? '*');
  }
  return known;
}

/** Records bear their resource each; those with the same one share it here, which saves memory. */
export class Resources {
  #known = new Map<string, unknown>();

  share(entries: LogEntry[]): LogEntry[] {
    for (const entry of entries) {
      const key = JSON.stringify(entry.resource);
      const known = this.#known.get(key);
      if (known === undefined) this.#known.set(key, entry.resource);
      else entry.resource = known as LogEntry['resource'];
    }
    return entries;
  }
}

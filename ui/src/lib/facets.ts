// What the spans or log records found have in common: values of each field with how many bear them,
// and how many of those are trouble.

import type { LogEntry, SpanRecord } from '../api/schema';

export interface FacetValue {
  value: string;
  count: number;
  /** Failed spans; records of severity error and above. */
  bad: number;
}

export interface Facet {
  name: string;
  /** Most frequent first. */
  values: FacetValue[];
  /** All values, also those that are not listed. */
  distinct: number;
  /** How many have the field at all. */
  present: number;
}

export interface Facets {
  fields: Facet[];
  attributes: Facet[];
}

const VALUES_MAX = 8;
const ATTRIBUTES_MAX = 40;
/** An attribute of which nearly each has its own value tells nothing by its values. */
const DISTINCT_SHARE_MAX = 0.8;
const VALUE_LENGTH_MAX = 200;

class Counter {
  #values = new Map<string, FacetValue>();
  #present = 0;

  constructor(readonly name: string) {}

  count(value: string, bad: boolean): void {
    this.#present += 1;
    const known = this.#values.get(value) ?? { value, count: 0, bad: 0 };
    known.count += 1;
    known.bad += Number(bad);
    this.#values.set(value, known);
  }

  facet(): Facet {
    const values = [...this.#values.values()].sort(
      (a, b) => b.count - a.count || a.value.localeCompare(b.value),
    );
    return {
      name: this.name,
      values: values.slice(0, VALUES_MAX),
      distinct: values.length,
      present: this.#present,
    };
  }
}

/** The text that a filter compares with; undefined for what is no plain value. */
export function plainValue(json: unknown): string | undefined {
  if (typeof json === 'string') return json;
  if (typeof json === 'number' || typeof json === 'boolean') return String(json);
  return undefined;
}

interface Item {
  fields: Record<string, string | null | undefined>;
  attributes: unknown;
  bad: boolean;
}

function counted(items: Iterable<Item>): Facets {
  const fields = new Map<string, Counter>();
  const attributes = new Map<string, Counter>();
  const counter = (of: Map<string, Counter>, name: string) => {
    const known = of.get(name) ?? new Counter(name);
    of.set(name, known);
    return known;
  };
  for (const item of items) {
    for (const [name, value] of Object.entries(item.fields))
      if (value != null) counter(fields, name).count(value, item.bad);
    for (const [name, json] of Object.entries((item.attributes ?? {}) as object)) {
      const value = plainValue(json);
      if (value === undefined || value.length > VALUE_LENGTH_MAX) continue;
      counter(attributes, name).count(value, item.bad);
    }
  }
  const telling = [...attributes.values()]
    .map((one) => one.facet())
    .filter((facet) => facet.distinct <= Math.max(VALUES_MAX, facet.present * DISTINCT_SHARE_MAX))
    .sort((a, b) => b.present - a.present || a.name.localeCompare(b.name));
  return {
    fields: [...fields.values()].map((one) => one.facet()),
    attributes: telling.slice(0, ATTRIBUTES_MAX),
  };
}

export function facets(spans: SpanRecord[]): Facets {
  return counted(
    spans.map(({ service, name, status, kind, attributes }) => ({
      fields: { service, operation: name, status, kind },
      attributes,
      bad: status === 'error',
    })),
  );
}

export function logFacets(entries: LogEntry[]): Facets {
  return counted(
    entries.map(({ service, severity, scope, event_name, attributes }) => ({
      fields: { service, severity, scope, event: event_name },
      attributes,
      bad: severity === 'error' || severity === 'fatal',
    })),
  );
}

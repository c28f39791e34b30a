// From a figure of one side to the requests or log lines that it was counted of.

import type { Finding } from '../../lib/difference';
import { resourceField, term } from '../../lib/logquery';
import { linkTo } from '../../lib/router.svelte';
import type { Sides } from '../../lib/sides';
import { rangeQuery } from '../../lib/time';
import { attributeIs } from '../../lib/tracequery';
import { VERSION } from './side';

const SEVERITY: Record<string, string> = { error: 'severity:>=error', warn: 'severity:warn' };

/** `side`: 0 of A, 1 of B. */
export function sideLink(finding: Finding, sides: Sides, side: 0 | 1): string {
  const { subject, aspect } = finding;
  const [from, to] = side === 0 ? sides.a : sides.b;
  const range = rangeQuery({ from, to });
  const version = subject.kind === 'version' ? subject.name : sides.versions?.[side];
  const resource = Object.entries({
    [VERSION]: version,
    'service.instance.id': subject.kind === 'instance' ? subject.name : undefined,
  }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  if (subject.kind === 'lines') {
    const words = resource.map(([name, value]) => term(resourceField(name), value));
    const service = subject.service && term('service', subject.service);
    const query = [service, SEVERITY[subject.name], ...words].filter(Boolean).join(' ');
    return linkTo('/logs', { query, ...range });
  }
  return linkTo('/traces', {
    service: subject.service,
    operation: subject.kind === 'operation' ? subject.name : undefined,
    kind: subject.kind === 'call' ? 'client' : undefined,
    status: aspect === 'fails' ? 'error' : undefined,
    order: aspect === 'p50' || aspect === 'p95' ? 'slowest' : undefined,
    attribute: resource.map(([name, value]) => attributeIs(`resource.${name}`, value)),
    ...range,
  });
}

import { describe, expect, it } from 'vitest';
import type { Incident } from '../api/schema';
import { THIN } from './format';
import { headline, impactFigures, timelineIcon } from './incident';
import { chosen, listHeadline, stateFilter } from './incidents';

const scope = { tenant: 'default', environment: 'default' };
const entity = (name: string) => ({ scope, kind: 'service', part_of: '', name });
const at = '2026-03-01T12:00:00Z';
const now = Date.parse('2026-03-01T12:06:10Z');
function incident(id: number, state: string, more: object = {}): Incident {
  return {
    id,
    scope,
    state,
    title: `incident ${id}`,
    onset: at,
    opened: at,
    mitigated: null,
    resolved: state === 'resolved' ? at : null,
    symptoms: [
      {
        entity: entity('storefront'),
        kind: 'availability_burn',
        source: 'web',
        severity: 'page',
        onset: at,
        unit: 'ratio',
        measured: 0.48,
        threshold: 0.01,
        bad: 100,
        total: 400,
      },
    ],
    firing: [0],
    causes: [],
    impact: { bad_requests: 100, requests: 400, services: [entity('storefront')] },
    plans: [],
    needs_human: '',
    acknowledged_by: '',
    timeline: [],
    ...more,
  } as unknown as Incident;
}
const cause = (kind: string, name: string, confidence = 0.95, summary = '') => ({
  causes: [{ kind, entity: entity(name), confidence, summary, evidence: [], onset: at }],
});
const plain = (text: string) => text.replaceAll(THIN, ' ');

describe('headline', () => {
  it('says the cause first, then what users feel', () => {
    expect(plain(headline(incident(1, 'open', cause('crash', 'orders'))))).toBe(
      'orders crashed; storefront fails 48 % of requests',
    );
  });
  it('speaks of the past when it is over, with the share of the whole time', () => {
    expect(plain(headline(incident(1, 'resolved', cause('disk', 'shop'))))).toBe(
      'A disk of shop had no room; storefront failed 25 % of requests',
    );
  });
  it('names no cause that is not sure enough', () => {
    expect(plain(headline(incident(1, 'open', cause('crash', 'orders', 0.4))))).toBe(
      'Cause unknown: storefront fails 48 % of requests',
    );
    expect(plain(headline(incident(1, 'open')))).toContain('Cause not known yet: ');
  });
  it('names a change without its time', () => {
    const summary = 'deploy of cart (version v1 -> v2) 40 s before onset';
    expect(headline(incident(1, 'open', cause('change', 'cart', 0.9, summary)))).toMatch(
      /^Deploy of cart \(version v1 → v2\) hurts; /,
    );
  });
});

describe('impactFigures', () => {
  it('tells what was lost and for how long', () => {
    const figures = impactFigures(incident(1, 'open'), [], now);
    expect(figures.map((figure) => plain(`${figure.label}: ${figure.value}`))).toEqual([
      'Requests to storefront that fail: 48 %',
      'Lost so far: 100 requests',
      'Users are hurt for: 6 min 10 s',
    ]);
  });
});

describe('chosen', () => {
  const all = [
    incident(3, 'resolved', cause('crash', 'orders')),
    incident(2, 'open'),
    incident(1, 'mitigated'),
  ];
  it('puts what hurts first', () => {
    expect(chosen(all, 'all', '').map((one) => one.id)).toEqual([2, 1, 3]);
  });
  it('finds by state and by any word', () => {
    expect(chosen(all, 'resolved', '').map((one) => one.id)).toEqual([3]);
    expect(chosen(all, 'all', 'ORDERS crash').map((one) => one.id)).toEqual([3]);
    expect(chosen(all, stateFilter('nonsense'), 'storefront').length).toBe(3);
  });
});

describe('listHeadline', () => {
  it('answers whether anything needs me', () => {
    expect(listHeadline([incident(1, 'open')], now)).toBe(
      '1 incident is open; none needs a person',
    );
    expect(listHeadline([incident(1, 'open', { needs_human: 'why' })], now)).toBe(
      '1 incident is open; 1 needs a person',
    );
    expect(listHeadline([incident(1, 'mitigated')], now)).toBe(
      'No user is hurt; 1 recovery is being watched',
    );
    expect(plain(listHeadline([incident(1, 'resolved')], now))).toBe(
      'No incident is open; the last one ended 6 min 10 s ago',
    );
    expect(listHeadline([], now)).toBe('No incident was ever opened');
  });
});

describe('timelineIcon', () => {
  it('tells lines apart by how the engine begins them', () => {
    const icon = (text: string) => timelineIcon(text).icon;
    expect(icon('symptom raised: 21 % of requests failed')).toBe('bad');
    expect(icon('cause: orders crashed (95 % sure)')).toBe('find');
    expect(icon('plan 1: restart orders ordered (attempt 1 of 3)')).toBe('healing');
    expect(icon('plan 1: restart orders verified: users are well')).toBe('ok');
    expect(icon('deploy of cart: version v1 -> v2')).toBe('change');
  });
});

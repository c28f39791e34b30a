import { describe, expect, it } from 'vitest';
import { news } from './news';

const none = { incidents: [], plans: [], drills: [] };
const incident = { id: 4, state: 'open', title: 'gateway fails 14 % of requests' };
const drill = { id: 2, drill: { phase: 'steady', experiment: { title: 'cart dies' } } };

describe('news', () => {
  it('tells of what began and of what ended', () => {
    expect(news(none, { ...none, incidents: [incident] })).toEqual([
      'Incident 4 is open: gateway fails 14 % of requests',
    ]);
    const over = { ...incident, state: 'resolved' };
    expect(
      news({ ...none, incidents: [incident] }, { ...none, incidents: [over], drills: [drill] }),
    ).toEqual(['Incident 4 is resolved', 'Drill 2 has begun: cart dies']);
    const scored = { ...drill, scorecard: { passed: true } };
    expect(news({ ...none, drills: [drill] }, { ...none, drills: [scored] })).toEqual([
      'Drill 2 passed',
    ]);
  });
  it('tells once of a plan that waits', () => {
    const waiting = { id: 9, state: 'awaiting_approval', target: 'cart' };
    const known = { ...none, plans: [waiting] };
    expect(news(none, known)).toEqual(['Plan 9 for cart waits for approval']);
    expect(news(known, { ...known, plans: [{ ...waiting }] })).toEqual([]);
  });
  it('is silent where nothing changed, and of what was over when it came', () => {
    const old = { ...none, incidents: [{ ...incident, state: 'resolved' }] };
    expect(news(none, old)).toEqual([]);
    expect(news(old, old)).toEqual([]);
  });
});

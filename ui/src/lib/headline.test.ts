import { describe, expect, it } from 'vitest';
import { THIN } from './format';
import { deed, headline, type Facts, type IncidentFacts, type PlanFacts } from './headline';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

function facts(change: Partial<Facts> = {}, status: Partial<Facts['status']> = {}): Facts {
  return {
    status: {
      now: ago(0),
      started: ago(90_000),
      healing_mode: 'approve',
      last_telemetry: ago(3),
      ...status,
    },
    nodes: [
      { name: 'cart', state: 'well' },
      { name: 'gateway', state: 'well' },
    ],
    incidents: [],
    plans: [],
    objectives: [{ health: 'well' }, { health: 'well' }],
    ...change,
  };
}

const TITLE = 'gateway fails 14 % of requests because payment-1 crashed';
function incident(change: Partial<IncidentFacts> = {}): IncidentFacts {
  return {
    id: 3,
    state: 'open',
    title: TITLE,
    opened: ago(60),
    needs_human: '',
    symptoms: [{ severity: 'page' }],
    causes: [
      { kind: 'crash', confidence: 0.95, summary: 'payment-1 crashed: its process is gone' },
    ],
    ...change,
  };
}
function plan(state: string, change: Partial<PlanFacts> = {}): PlanFacts {
  return { id: 7, incident: 3, target: 'payment-1', kind: 'restart', state, ...change };
}

const plain = (text: string) => text.replaceAll(THIN, ' ');
const says = (given: Facts) => plain(headline(given).sentence);
const goesOn = (given: Facts) => headline(given).lead.map(plain).join(' ');

describe('all quiet', () => {
  it('is counted from the end of the last incident, or from the start', () => {
    expect(says(facts())).toBe('All quiet for 1 d 1 h');
    const over = incident({ state: 'resolved', resolved: ago(20) });
    expect(says(facts({ incidents: [over] }))).toBe('All quiet for 20 s');
  });
  it('does not tick: from a minute on it counts whole minutes', () => {
    expect(says(facts({}, { started: ago(119) }))).toBe('All quiet for 1 min');
    expect(says(facts({}, { started: ago(59) }))).toBe('All quiet for 59 s');
  });
  it('says what was checked', () => {
    expect(goesOn(facts())).toBe('All 2 services and dependencies are well. 2 objectives are met.');
  });
  it('goes together with services that nobody asks, which are not called well', () => {
    const given = facts({
      nodes: [
        { name: 'cart', state: 'well' },
        { name: 'reports', state: 'no_traffic' },
      ],
    });
    expect(says(given)).toBe('All quiet for 1 d 1 h');
    expect(goesOn(given)).toMatch(/^1 of 2 services and dependencies is well\./);
  });
  it('goes together with a service that is still being learned, which is named', () => {
    const given = facts({
      nodes: [
        { name: 'cart', state: 'well' },
        { name: 'new', state: 'learning' },
      ],
    });
    expect(says(given)).toMatch(/^All quiet/);
    expect(goesOn(given)).toContain('new is still being learned.');
  });
});

describe('silence', () => {
  it('is never called quiet', () => {
    const given = facts({
      nodes: [
        { name: 'mailer', state: 'no_data', since: ago(360) },
        { name: 'cart', state: 'well' },
      ],
    });
    expect(says(given)).toBe('No incident, but mailer has sent nothing for 6 min');
    expect(headline(given).tone).toBe('unknown');
    expect(goesOn(given)).toContain(
      'mailer has sent nothing lately: that is not taken for health.',
    );
  });
  it('of several is as long as the shortest of them', () => {
    const given = facts({
      nodes: [
        { name: 'mailer', state: 'no_data', since: ago(360) },
        { name: 'search', state: 'no_data', since: ago(900) },
      ],
    });
    expect(says(given)).toBe('No incident, but 2 services have sent nothing for 6 min');
    expect(goesOn(given)).toContain('mailer and search have sent nothing lately');
  });
  it('of unknown length is told without one', () => {
    const given = facts({ nodes: [{ name: 'mailer', state: 'no_data' }] });
    expect(says(given)).toBe('No incident, but mailer has sent nothing');
  });
  it('of everything is not knowing how users fare', () => {
    const given = facts({}, { last_telemetry: ago(41) });
    expect(says(given)).toBe('No telemetry for 41 s: how users fare is not known');
    expect(headline(given).tone).toBe('unknown');
  });
  it('before the first telemetry is waiting, with nothing else to say', () => {
    const given = facts({ nodes: [] }, { last_telemetry: null });
    expect(headline(given)).toEqual({
      sentence: 'Waiting for the first telemetry',
      lead: [],
      tone: 'unknown',
    });
  });
  it('does not hide an open incident', () => {
    const given = facts({ incidents: [incident()] }, { last_telemetry: ago(41) });
    expect(says(given)).toBe(TITLE);
    expect(goesOn(given)).toContain('Nothing was heard for 41 s.');
  });
});

describe('an open incident', () => {
  const told = (...plans: PlanFacts[]) => says(facts({ incidents: [incident()], plans }));

  it('is the sentence, with what is being done', () => {
    expect(told()).toBe(TITLE);
    const short = incident({ title: 'web fails 14 % of requests because cart crashed' });
    const running = plan('running', { target: 'cart' });
    expect(says(facts({ incidents: [short], plans: [running] }))).toBe(
      'web fails 14 % of requests because cart crashed; the restart of cart is under way',
    );
    expect(headline(facts({ incidents: [incident()] })).tone).toBe('hurt');
  });
  it('leaves its cause to the second line where both clauses would be too long', () => {
    const given = facts({ incidents: [incident()], plans: [plan('awaiting_approval')] });
    expect(says(given)).toBe(
      'gateway fails 14 % of requests; the restart of payment-1 waits for your approval',
    );
    expect(goesOn(given)).toMatch(/^payment-1 crashed: its process is gone, 95 % sure\. All 2/);
  });
  it('has a word for every state of a plan that is worth a clause', () => {
    const clause = (state: string) => told(plan(state)).split('; ')[1];
    expect(clause('verifying')).toBe('the restart of payment-1 is done and being watched');
    expect(clause('undoing')).toBe('the restart of payment-1 did not help and is being undone');
    expect(clause('held')).toBe('the restart of payment-1 waits');
    expect(clause('backing_off')).toBe('the restart of payment-1 waits');
    expect(clause('dry_run')).toBe('the restart of payment-1 is only shown: healing is a dry run');
    for (const over of ['denied', 'withdrawn', 'gave_up', 'verified'])
      expect(clause(over)).toBeUndefined();
  });
  it('tells of the newest plan that says something', () => {
    const older = plan('awaiting_approval', { id: 7, target: 'old' });
    const newer = plan('running', { id: 8, target: 'new' });
    expect(told(older, newer)).toContain('the restart of new is under way');
    expect(told(older, { ...newer, state: 'denied' })).toContain('the restart of old waits');
  });
  it('is not mixed up with the plan of another', () => {
    expect(told(plan('running', { incident: 2 }))).toBe(TITLE);
  });
  it('calls a person where nothing can be done', () => {
    const needy = incident({ title: 'gateway fails', needs_human: 'no remedy is configured' });
    expect(says(facts({ incidents: [needy] }))).toBe('gateway fails; a person is needed');
  });
  it('that pages comes before newer tickets, and counts them', () => {
    const ticket = incident({
      id: 5,
      title: 'ticket: cart is too slow for 3 % of requests; cause unknown',
      symptoms: [{ severity: 'ticket' }],
    });
    const page = incident({ title: 'gateway fails' });
    expect(says(facts({ incidents: [ticket, page] }))).toBe(
      'gateway fails; 1 more incident is open',
    );
    expect(says(facts({ incidents: [ticket] }))).toBe(
      'cart is too slow for 3 % of requests; cause unknown',
    );
    expect(headline(facts({ incidents: [ticket] })).tone).toBe('risk');
  });
  it('whose cause is unknown says so behind', () => {
    const unknown = incident({
      title: 'storefront does not finish requests; cause unknown',
      causes: [{ kind: 'unknown', confidence: 0.3, summary: 'it was followed to storefront' }],
    });
    const given = facts({
      incidents: [unknown],
      plans: [plan('awaiting_approval', { kind: { run_command: { command: 'shed' } } })],
    });
    expect(says(given)).toBe(
      'storefront does not finish requests; command shed on payment-1 waits for your approval',
    );
    expect(goesOn(given)).toMatch(/^The cause is unknown\./);
  });
});

describe('after trouble', () => {
  it('a recovery is watched before it is believed', () => {
    const mitigated = incident({ state: 'mitigated', mitigated: ago(30) });
    const given = facts({ incidents: [mitigated] });
    expect(says(given)).toBe('Users are well again since 11:59:30; incident 3 is watched');
    expect(headline(given).tone).toBe('risk');
  });
  it('what is healing is told behind', () => {
    const given = facts({
      incidents: [incident({ state: 'mitigated', mitigated: ago(30) })],
      nodes: [
        { name: 'cart', state: 'healing' },
        { name: 'gateway', state: 'well' },
      ],
    });
    expect(goesOn(given)).toContain('cart is well again and being watched.');
  });
});

describe('doubt', () => {
  it('about what is at risk is named', () => {
    const nodes = ['a', 'b', 'c', 'd'].map((name) => ({ name, state: 'at_risk' as const }));
    expect(says(facts({ nodes }))).toBe('No user is hurt; a, b and 2 more are at risk');
    expect(says(facts({ nodes: nodes.slice(0, 1) }))).toBe('No user is hurt; a is at risk');
  });
  it('while everything is being learned gives no verdict', () => {
    const nodes = [
      { name: 'cart', state: 'learning' as const },
      { name: 'reports', state: 'no_traffic' as const },
    ];
    expect(says(facts({ nodes }))).toBe('Learning what is normal; nothing is judged yet');
  });
  it('where nobody asks anything of any service is not quiet', () => {
    const nodes = [{ name: 'cart', state: 'no_traffic' as const }];
    expect(says(facts({ nodes }))).toBe('No requests to any service: how users fare is not known');
  });
  it('while Immune catches up comes before all but open incidents', () => {
    const status = { catching_up_until: ago(-30), last_telemetry: ago(400) };
    expect(says(facts({}, status))).toBe('Catching up until 12:00:30; paging and healing rest');
    expect(says(facts({ incidents: [incident()] }, status))).toBe(TITLE);
    expect(says(facts({}, { catching_up_until: ago(1) }))).toMatch(/^All quiet/);
  });
  it('where telemetry comes but no request is never called quiet', () => {
    expect(says(facts({ nodes: [] }))).toBe('Telemetry arrives, but no request has been seen yet');
  });
});

describe('the second line', () => {
  it('tells who froze healing, and why', () => {
    const frozen = { by: 'ops', reason: 'looking at it.' };
    expect(goesOn(facts({}, { frozen }))).toMatch(/Healing is frozen by ops: looking at it\.$/);
    expect(goesOn(facts({}, { frozen: { by: 'ops', reason: '' } }))).toMatch(/frozen by ops\.$/);
  });
  it('does not speak of one service in the plural', () => {
    expect(goesOn(facts({ nodes: [{ name: 'cart', state: 'well' }], objectives: [] }))).toBe(
      'The one service is well.',
    );
  });
});

describe('deed', () => {
  it('names every kind of action as a noun', () => {
    const kinds: [unknown, string][] = [
      ['restart', 'the restart of cart'],
      ['rollback', 'the rollback of cart'],
      ['eject', 'the ejection of cart'],
      ['return', 'the return of cart'],
      ['terminate_blocker', 'ending the blocker of cart'],
      [{ run_command: { command: 'shed' } }, 'command shed on cart'],
      [{ signal: { signal: 'usr1' } }, 'SIGUSR1 to cart'],
      [{ http_request: { request: 'dark' } }, 'request dark for cart'],
      [{ clear_path: { path: 'thumbs' } }, 'clearing thumbs of cart'],
      [{ container: { operation: 'scale_out' } }, 'the scale-out of cart'],
      [{ container_limits: { limits: 'more' } }, 'limits more for cart'],
      [{ systemd: { operation: 'reload' } }, 'the reload of cart'],
    ];
    for (const [kind, words] of kinds) expect(deed(kind, 'cart')).toBe(words);
  });
  it('still says something of a kind that it does not know', () => {
    expect(deed('drain_node', 'cart')).toBe('drain node of cart');
  });
});

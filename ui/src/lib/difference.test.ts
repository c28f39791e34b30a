import { describe, expect, it } from 'vitest';
import {
  areEnough,
  differences,
  rankDeviations,
  type Finding,
  type Part,
  type Side,
  type Subject,
} from './difference';

const WINDOWS = 30;
const STEP_S = 10;

/** Each window has `value`, a little more, or a little less. */
function wavy(value: number): Map<number, number> {
  const times = Array.from({ length: WINDOWS }, (_, window) => window * STEP_S * 1_000);
  return new Map(times.map((at, window) => [at, value * (1 + ((window % 5) - 2) / 20)]));
}

interface Given {
  /** In a window. */
  requests?: number;
  failed?: number;
  p50?: number;
  p95?: number;
}

type Named = [Subject['kind'], string, Given];

function side(...parts: Named[]): Side {
  const bases = new Map<string, Map<number, number>>();
  const all = parts.map(([kind, name, given]): [string, Part] => {
    const { requests = 100, failed = 0, p50 = 0.05, p95 = 0.1 } = given;
    const key = kind === 'service' ? 'whole' : `${kind} ${name}`;
    const own = wavy(requests);
    const part: Part = {
      subject: { kind, service: 'cart', name },
      requests: own,
      errors: new Map([...own].map(([at, count]) => [at, count * failed])),
      p50: wavy(p50),
      p95: wavy(p95),
      base: kind === 'service' || kind === 'lines' ? undefined : 'whole',
    };
    if (kind === 'service') bases.set(key, own);
    return [key, part];
  });
  return { step_s: STEP_S, heard: [...wavy(1).keys()], parts: new Map(all), bases };
}

const verdicts = (findings: Finding[]) =>
  Object.fromEntries(findings.map(({ key, verdict }) => [key.replace('\n', ' '), verdict]));
const between = (a: Side, b: Side) => differences(a, b, 'whole');
const whole = (given: Given) => side(['service', '', given]);

describe('rankDeviations', () => {
  it('is what Mann and Whitney say, with shared ranks', () => {
    expect(rankDeviations([1, 2, 3], [1, 2, 3])).toBe(0);
    // U = 16 of 16, mean 8, variance 4 * 4 * 9 / 12.
    expect(rankDeviations([1, 2, 3, 4], [5, 6, 7, 8])).toBeCloseTo(8 / Math.sqrt(12), 9);
    // Two pairs of ties: variance 16 / 12 * (9 - 12 / 56).
    const variance = (16 / 12) * (9 - 12 / 56);
    expect(rankDeviations([1, 1, 2, 3], [3, 4, 5, 6])).toBeCloseTo(7.5 / Math.sqrt(variance), 9);
    expect(rankDeviations([2, 2], [2, 2])).toBe(0);
  });
  it('wants as many windows as could tell a difference', () => {
    expect([areEnough(6, 6), areEnough(7, 7), areEnough(4, 30), areEnough(0, 30)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});

describe('what differs', () => {
  it('is nothing between two times that are alike', () => {
    const [a, b] = [whole({ failed: 0.01 }), whole({ failed: 0.0105, requests: 104, p95: 0.103 })];
    expect(verdicts(between(a, b))).toEqual({
      'whole fails': 'same',
      'whole p95': 'same',
      'whole traffic': 'same',
    });
  });
  it('is a share that fails 1.5 times as often, beyond chance', () => {
    expect(verdicts(between(whole({}), whole({ failed: 0.083 })))['whole fails']).toBe('more');
    expect(verdicts(between(whole({ failed: 0.083 }), whole({})))['whole fails']).toBe('less');
    // 3 in 3,000 against 8 in 3,000 may be chance; so may 10 % against 30 % of 120.
    const rare = between(whole({ failed: 0.001 }), whole({ failed: 0.0027 }));
    expect(verdicts(rare)['whole fails']).toBe('same');
    const small = between(
      whole({ requests: 4, failed: 0.1 }),
      whole({ requests: 4, failed: 0.25 }),
    );
    expect(verdicts(small)['whole fails']).toBe('same');
    // Beyond chance, but no matter: 10 % against 11.5 % of a million.
    const many = between(
      whole({ requests: 1e5, failed: 0.1 }),
      whole({ requests: 1e5, failed: 0.115 }),
    );
    expect(verdicts(many)['whole fails']).toBe('same');
  });
  it('says nothing of shares below 100 requests', () => {
    const few = between(whole({ requests: 3 }), whole({ requests: 3, failed: 0.9 }));
    expect(verdicts(few)['whole fails']).toBe('few');
  });
  it('is a wait 1.3 times as long and 5 ms longer, in rank too', () => {
    const slower = between(whole({}), whole({ p95: 0.2 }));
    expect(slower[0]).toMatchObject({ aspect: 'p95', verdict: 'more' });
    expect(slower[0]!.a).toBeCloseTo(0.1);
    expect(verdicts(between(whole({}), whole({ p95: 0.12 })))['whole p95']).toBe('same');
    expect(verdicts(between(whole({ p95: 0.004 }), whole({ p95: 0.008 })))['whole p95']).toBe(
      'same',
    );
    // The p50 where it alone differs.
    expect(verdicts(between(whole({}), whole({ p50: 0.09 })))['whole p50']).toBe('more');
  });
  it('is no wait of windows that are too few', () => {
    const short = (one: Side): Side => {
      for (const part of one.parts.values()) part.p95 = new Map([...part.p95].slice(0, 6));
      return one;
    };
    const few = between(short(whole({})), short(whole({ p95: 2 })));
    expect(verdicts(few)['whole p95']).toBe('few');
  });
  it('is traffic of the whole against time, of parts against the whole', () => {
    const [a, b] = [100, 200].map((requests) =>
      side(
        ['service', '', { requests }],
        ['operation', 'GET /', { requests: requests * 0.9 }],
        ['operation', 'POST /', { requests: requests * (requests === 100 ? 0.1 : 0.2) }],
      ),
    );
    const found = between(a!, b!);
    expect(verdicts(found)).toMatchObject({
      'whole traffic': 'more',
      'operation GET / traffic': 'same',
      'operation POST / traffic': 'more',
    });
    const post = found.find(({ key }) => key.startsWith('operation POST'))!;
    expect([post.a!.toFixed(2), post.b!.toFixed(2), post.relative]).toEqual(['0.10', '0.20', true]);
  });
  it('is new or gone where ten would have been expected', () => {
    const a = side(['service', '', {}]);
    const b = side(
      ['service', '', {}],
      ['call', 'bank', { requests: 50 }],
      ['call', 'mail', { requests: 0.2 }],
    );
    expect(verdicts(between(a, b))).toMatchObject({
      'call bank traffic': 'new',
      'call mail traffic': 'few',
    });
    expect(verdicts(between(b, a))['call bank traffic']).toBe('gone');
  });
  it('is told with the whole where a part shares its fate', () => {
    const parts = (failed: number, one: number): Side =>
      side(
        ['service', '', { failed }],
        ['instance', 'cart-1', { requests: 50, failed: one }],
        ['instance', 'cart-2', { requests: 50, failed }],
      );
    const found = verdicts(between(parts(0, 0), parts(0.2, 0.6)));
    expect(found).toMatchObject({
      'whole fails': 'more',
      'instance cart-1 fails': 'more',
      'instance cart-2 fails': 'alike',
    });
  });
  it('is of log lines how many there are', () => {
    const lines = (requests: number) => side(['lines', 'error', { requests, p50: 0, p95: 0 }]);
    const found = differences(lines(0.1), lines(4));
    expect(found.map(({ aspect }) => aspect)).toContain('traffic');
    expect(found.find(({ aspect }) => aspect === 'traffic')!.verdict).toBe('more');
    expect(found.some(({ aspect }) => aspect === 'fails')).toBe(false);
  });
  it('skips windows in which nothing at all was heard', () => {
    const [a, b] = [whole({}), whole({})];
    b.heard = b.heard.slice(10);
    for (const at of [...b.parts.get('whole')!.requests.keys()].slice(0, 10))
      b.parts.get('whole')!.requests.delete(at);
    expect(verdicts(between(a, b))['whole traffic']).toBe('same');
  });
});

describe('the order', () => {
  it('puts failures before waits before traffic, and what reaches many before few', () => {
    const a = side(
      ['service', '', {}],
      ['operation', 'GET /', { requests: 90 }],
      ['operation', 'POST /', { requests: 10 }],
    );
    const b = side(
      ['service', '', { requests: 200, failed: 0.2, p95: 0.4 }],
      ['operation', 'GET /', { requests: 180, failed: 0 }],
      ['operation', 'POST /', { requests: 20, failed: 1, p95: 4 }],
    );
    const order = between(a, b).flatMap(({ key, size }) => (size > 0 ? [key] : []));
    expect(order.slice(0, 3)).toEqual(['whole\nfails', 'operation POST /\nfails', 'whole\np95']);
    expect(order.at(-1)).toBe('whole\ntraffic');
  });
});

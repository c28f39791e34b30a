// Telemetry of a large system: many services, each with callers and callees.

import { randomBytes } from 'node:crypto';
import { resource, span } from './telemetry.mjs';

const EDGES_A_REQUEST = 200;
const SERVER = 2;
const CLIENT = 3;

/** The callers and callees of a system: a tree from the first service, then further calls downwards. */
export function edgesOf(services, edges) {
  const all = new Map();
  const add = (caller, callee) => all.set(`${caller} ${callee}`, [caller, callee]);
  for (let callee = 1; callee < services; callee += 1) add(Math.floor((callee - 1) / 4), callee);
  for (let step = 0; all.size < edges && step < edges * 20; step += 1) {
    const caller = (step * 7_919) % services;
    const callee = caller + 1 + ((step * 104_729) % Math.max(1, services - caller - 1));
    if (callee < services) add(caller, callee);
  }
  return [...all.values()];
}

/** One call along each edge, just now. */
export async function sendSystem(server, services, edges) {
  const pairs = edgesOf(services, edges);
  const name = (index) => `team-${index % 12}-service-${String(index).padStart(3, '0')}`;
  for (let at = 0; at < pairs.length; at += EDGES_A_REQUEST) {
    const now = Date.now();
    const resourceSpans = pairs.slice(at, at + EDGES_A_REQUEST).flatMap(([caller, callee]) => {
      const trace = randomBytes(16).toString('hex');
      const [call, serve, root] = [0, 0, 0].map(() => randomBytes(8).toString('hex'));
      const of = (service, spans) => ({
        resource: resource(name(service)),
        scopeSpans: [{ scope: { name: 'tests/ui' }, spans }],
      });
      return [
        of(caller, [
          span(trace, root, '', 'GET /', now - 40, now, { kind: SERVER }),
          span(trace, call, root, 'GET', now - 35, now - 5, { kind: CLIENT }),
        ]),
        of(callee, [span(trace, serve, call, 'GET /', now - 30, now - 10, { kind: SERVER })]),
      ];
    });
    await server.send('traces', { resourceSpans });
  }
  return pairs.length;
}

// Telemetry that is sent by the tests themselves.

import { randomBytes } from 'node:crypto';

const SPANS_A_REQUEST = 2_000;
/** OTLP's status of a span that failed. */
const FAILED = 2;

const text = (value) => ({ stringValue: value });
export const resource = (service) => ({
  attributes: [
    { key: 'service.name', value: text(service) },
    { key: 'service.instance.id', value: text(`${service}-1`) },
  ],
});
const nanos = (milliseconds) => `${Math.round(milliseconds * 1_000)}000`;

export function span(traceId, spanId, parent, name, from, to, more = {}) {
  return {
    traceId,
    spanId,
    parentSpanId: parent,
    name,
    kind: parent ? 1 : 2,
    startTimeUnixNano: nanos(from),
    endTimeUnixNano: nanos(to),
    attributes: [{ key: 'http.route', value: text(name) }],
    ...more,
  };
}

const traces = (service, spans) => ({
  resourceSpans: [
    { resource: resource(service), scopeSpans: [{ scope: { name: 'tests/ui' }, spans }] },
  ],
});

/** One request of one service; its trace id. */
export async function sendSpan(server, service, name, token) {
  const traceId = randomBytes(16).toString('hex');
  const now = Date.now();
  const spanId = randomBytes(8).toString('hex');
  await server.send(
    'traces',
    traces(service, [span(traceId, spanId, '', name, now - 20, now)]),
    token,
  );
  return traceId;
}

/** So many requests of one version of a service, the first `failed` of which fail. */
export async function sendVersion(server, service, version, { requests, failed }) {
  const { attributes } = resource(`${service}-${version}`);
  const named = {
    'service.name': service,
    'service.version': version,
    'service.instance.id': attributes[1].value.stringValue,
  };
  const pairs = Object.entries(named).map(([key, value]) => ({ key, value: text(value) }));
  const now = Date.now();
  const spans = Array.from({ length: requests }, (_, index) => {
    const [traceId, id] = [16, 8].map((bytes) => randomBytes(bytes).toString('hex'));
    const begun = now - 2_000 + index;
    const status = { code: index < failed ? FAILED : 0 };
    return span(traceId, id, '', 'POST /entry', begun, begun + 12, { status });
  });
  const scopeSpans = [{ scope: { name: 'tests/ui' }, spans }];
  await server.send('traces', {
    resourceSpans: [{ resource: { attributes: pairs }, scopeSpans }],
  });
}

/** One trace of so many spans: a request that asks in a tree, ten below each. */
export async function sendTrace(server, service, count) {
  const traceId = randomBytes(16).toString('hex');
  const ids = Array.from({ length: count }, () => randomBytes(8).toString('hex'));
  const end = Date.now() - 1_000;
  const length = 4_000;
  const spans = ids.map((id, index) => {
    const parent = index === 0 ? '' : ids[Math.floor((index - 1) / 10)];
    const depth = index === 0 ? 0 : Math.floor(Math.log10(index * 9 + 1));
    const from = end - length + (index / count) * (length - 400) * Math.min(1, depth);
    const to = Math.max(from + 1, end - depth * 40 - ((count - index) / count) * 100);
    return span(traceId, id, parent, index === 0 ? 'GET /report' : `step ${index}`, from, to);
  });
  for (let at = 0; at < spans.length; at += SPANS_A_REQUEST) {
    await server.send('traces', traces(service, spans.slice(at, at + SPANS_A_REQUEST)));
  }
  return traceId;
}

/** Log records of one service, one a line; with the id of a trace where one is given. */
export async function sendLogs(server, service, lines, traceId = '') {
  const now = Date.now();
  await server.send('logs', {
    resourceLogs: [
      {
        resource: resource(service),
        scopeLogs: [
          {
            scope: { name: 'tests/ui' },
            logRecords: lines.map((line, index) => ({
              timeUnixNano: nanos(now - lines.length + index),
              severityNumber: 17,
              severityText: 'ERROR',
              body: text(line),
              ...(traceId ? { traceId, spanId: traceId.slice(0, 16) } : {}),
            })),
          },
        ],
      },
    ],
  });
}

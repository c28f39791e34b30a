// The first five minutes: where telemetry is to be sent, and what has come.

export interface Addresses {
  grpc: string;
  http: string;
  /** Only this machine can reach it. */
  loopback: boolean;
}

/** Where the receivers listen, as someone on this page's host would write it. */
export function addresses(settings: { path: string; value: unknown }[], host: string): Addresses {
  const listens = (path: string, otherwise: string) => {
    const value = settings.find((setting) => setting.path === path)?.value;
    return typeof value === 'string' ? value : otherwise;
  };
  const grpc = listens('receivers.otlp.grpc', '127.0.0.1:4317');
  const http = listens('receivers.otlp.http', '127.0.0.1:4318');
  return { grpc: url(grpc, host), http: url(http, host), loopback: isLoopback(http) };
}

function split(address: string): [name: string, port: string] {
  const colon = address.lastIndexOf(':');
  return [address.slice(0, colon).replace(/^\[|\]$/g, ''), address.slice(colon + 1)];
}

function isLoopback(address: string): boolean {
  const [name] = split(address);
  return name === 'localhost' || name === '::1' || name.startsWith('127.');
}

function url(address: string, host: string): string {
  const [name, port] = split(address);
  const any = name === '0.0.0.0' || name === '::';
  const of = any ? host.replace(/^\[|\]$/g, '') : name;
  return `http://${of.includes(':') ? `[${of}]` : of}:${port}`;
}

/** The lines for the environment of a service; a fourth where a token is asked for. */
export function lines(where: Addresses, tokens: boolean): string[] {
  return [
    `OTEL_EXPORTER_OTLP_ENDPOINT=${where.http}`,
    'OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf',
    'OTEL_SERVICE_NAME=checkout',
    ...(tokens ? ['OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20YOUR_INGEST_TOKEN'] : []),
  ];
}

/** What has come so far: `spans`, `spans and log records`. */
export function received(telemetry: { signal: string; items: number }[]): string {
  const words: [string, string][] = [
    ['traces', 'spans'],
    ['metrics', 'metrics'],
    ['logs', 'log records'],
  ];
  const come = words.filter(([signal]) =>
    telemetry.some((taken) => taken.signal === signal && taken.items > 0),
  );
  return come.map(([, word]) => word).join(' and ') || 'telemetry';
}

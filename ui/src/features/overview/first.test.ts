import { describe, expect, it } from 'vitest';
import { addresses, lines, received } from './first';

const listening = (grpc: string, http: string) => [
  { path: 'receivers.otlp.grpc', value: grpc },
  { path: 'receivers.otlp.http', value: http },
];

describe('addresses', () => {
  it('are those that are configured', () => {
    expect(addresses(listening('127.0.0.1:14317', '127.0.0.1:14318'), 'localhost')).toEqual({
      grpc: 'http://127.0.0.1:14317',
      http: 'http://127.0.0.1:14318',
      loopback: true,
    });
  });
  it('name the host of the page where the receiver listens everywhere', () => {
    const found = addresses(listening('0.0.0.0:4317', '[::]:4318'), 'immune.example');
    expect(found.http).toBe('http://immune.example:4318');
    expect(found.grpc).toBe('http://immune.example:4317');
    expect(found.loopback).toBe(false);
  });
  it('write an IPv6 address in brackets', () => {
    expect(addresses(listening('[::1]:4317', '[::1]:4318'), 'x').http).toBe('http://[::1]:4318');
  });
});

describe('lines', () => {
  const where = { grpc: 'http://a:1', http: 'http://a:2', loopback: true };
  it('are three, and a fourth where tokens are configured', () => {
    expect(lines(where, false)).toHaveLength(3);
    expect(lines(where, true)[3]).toContain('authorization=Bearer');
  });
});

describe('received', () => {
  it('names what has come', () => {
    const taken = (signal: string, items: number) => ({ signal, items });
    expect(received([taken('traces', 3), taken('logs', 1), taken('metrics', 0)])).toBe(
      'spans and log records',
    );
    expect(received([])).toBe('telemetry');
  });
});

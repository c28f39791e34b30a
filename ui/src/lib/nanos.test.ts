import { describe, expect, it } from 'vitest';
import * as nanos from './nanos';

describe('nanosOf', () => {
  it('reads back what it wrote, to the nanosecond', () => {
    for (const time of ['2026-03-01T12:00:00.000000001Z', '2026-03-01T12:00:00.123456789Z']) {
      expect(nanos.rfc3339(nanos.nanosOf(time))).toBe(time);
    }
    expect(nanos.nanosOf('1970-01-01T00:00:01.5Z')).toBe(1_500_000_000n);
    expect(nanos.nanosOf('1970-01-01T00:00:01Z')).toBe(1_000_000_000n);
    expect(nanos.nanosOf('nonsense')).toBe(0n);
  });
  it('moves over the border of a second', () => {
    expect(nanos.moved('2026-03-01T12:00:00.999999999Z', 1n)).toBe(
      '2026-03-01T12:00:01.000000000Z',
    );
  });
});

describe('millisText', () => {
  it('never leaves out what took a little longer', () => {
    expect([1_500_000_000, 2e9, 250_001, 0].map(nanos.millisText)).toEqual([
      '1500ms',
      '2s',
      '1ms',
      '0ms',
    ]);
  });
  it('reads what people write', () => {
    expect(['250ms', '1m30s', '5', '', 'x1s'].map(nanos.nanosOfText)).toEqual([
      250e6,
      90e9,
      null,
      null,
      null,
    ]);
  });
});

describe('clockNanos', () => {
  it('groups the digits after the second', () => {
    const plain = (text: string) => text.replaceAll('\u202f', ' ');
    expect(plain(nanos.clockNanos('2026-03-01T12:00:00.123456789Z'))).toBe('12:00:00.123 456 789');
    expect(plain(nanos.clockNanos('2026-03-01T12:00:00.12Z'))).toBe('12:00:00.120');
  });
});

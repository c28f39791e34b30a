import { expect, it } from 'vitest';
import { exposition, sumOf, valueOf } from './exposition';

const TEXT = `# HELP immune_tick_lag_seconds Time since the last step.
# TYPE immune_tick_lag_seconds gauge
immune_tick_lag_seconds 0.4
immune_refused_requests_total{signal="traces",transport="grpc",reason="a \\"b\\"\\\\c"} 3
immune_refused_requests_total{signal="logs",transport="http"} 4
not a sample at all
immune_odd +Inf
`;

it('reads names, labels, values and what they mean', () => {
  const found = exposition(TEXT);
  expect(found.help.get('immune_tick_lag_seconds')).toBe('Time since the last step.');
  expect(valueOf(found, 'immune_tick_lag_seconds')).toBe(0.4);
  expect(valueOf(found, 'immune_odd')).toBe(Infinity);
  expect(valueOf(found, 'nothing')).toBeUndefined();
  expect(found.samples[1]!.labels.reason).toBe('a "b"\\c');
  expect(sumOf(found, 'immune_refused_requests_total')).toBe(7);
  expect(found.samples).toHaveLength(4);
});

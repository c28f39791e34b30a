// The lines of one metric: named by what tells its series apart, the largest few.

import type { ChartPoint, Line } from './chart';

const MOST = 4;

export interface MetricSeries {
  labels: Record<string, string>;
  function?: string | null;
  points: ChartPoint[];
}

export interface MetricLines {
  lines: Line[];
  /** Of how many series. */
  of: number;
  /** What the values are, where all are the same. */
  function: string | undefined;
}

function last(points: ChartPoint[]): number {
  return points.findLast(([, value]) => value !== null)?.[1] ?? -Infinity;
}

export function metricLines(series: MetricSeries[]): MetricLines {
  const functions = new Set(series.map((one) => one.function ?? ''));
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].sort();
  const telling = labels.filter(
    (label) => new Set(series.map((one) => one.labels[label] ?? '')).size > 1,
  );
  // The resource says the same of an instance in many ways; the instance alone will do.
  const short = telling.filter((label) => label === 'instance' || !label.startsWith('resource.'));
  const used = short.length > 0 ? short : telling;
  const named = series.map((one) => {
    // Several labels often say the same of a series.
    const said = new Set(used.map((label) => one.labels[label] ?? ''));
    const values = [...said].filter((value) => value !== '');
    if (functions.size > 1 && one.function) values.push(one.function);
    return { name: values.join(' ') || (one.function ?? 'value'), points: one.points };
  });
  const names = new Map<string, number>();
  const lines = named
    .toSorted((a, b) => last(b.points) - last(a.points))
    .slice(0, MOST)
    .map((line) => {
      // Names tell lines apart; so no two are the same.
      const times = (names.get(line.name) ?? 0) + 1;
      names.set(line.name, times);
      return times > 1 ? { ...line, name: `${line.name} (${times})` } : line;
    });
  return {
    lines,
    of: series.length,
    function: functions.size === 1 ? [...functions][0] || undefined : undefined,
  };
}

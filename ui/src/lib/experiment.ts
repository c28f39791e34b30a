// Experiment files to begin with: as suggested, as run before, or for a combination that nobody
// suggested. Its author looks it over; the server's plan says what is wrong with it.

import type { DrillRecord, Suggestion } from '../api/schema';
import { experimentText, placeboText } from './drill';

/** A fault of each kind, small, to be changed by its author. */
const FAULTS: Record<string, string> = {
  cpu: '{cpu: {cores: 1}}',
  memory: '{memory: {bytes: 256MiB}}',
  disk_fill: '{disk_fill: {path: /var/lib/CHANGE-ME, leave_free: 10MiB}}',
  file_descriptors: '{file_descriptors: {spare: 0}}',
  partition: '{partition: {port: 5432}}',
  packet_loss: '{packet_loss: {port: 5432, share: 0.2}}',
  tcp: '{tcp: {port: 8000, latency: 2s}}',
  http: '{http: {port: 8000, share: 0.2, abort: 503}}',
  dns: '{dns: {names: [CHANGE-ME.internal], answer: nxdomain}}',
  toxiproxy: '{toxiproxy: {api: "127.0.0.1:8474", proxy: CHANGE-ME, latency: 2s}}',
  container: '{container: pause}',
  clock: '{clock: {offset: 1h}}',
  command: '{command: {name: CHANGE-ME}}',
};

/** The text for `placebo`, `drill-ID`, `FAULT@TARGET`; empty where nothing is known to begin with. */
export function beginning(from: string, suggestions: Suggestion[], drills: DrillRecord[]): string {
  if (from === 'placebo') return suggestions[0] ? placeboText(suggestions[0].experiment) : '';
  const again = /^drill-(\d+)$/.exec(from);
  if (again) {
    const record = drills.find((one) => one.id === Number(again[1]));
    return record ? experimentText(record.drill.experiment) : '';
  }
  const at = from.indexOf('@');
  if (at < 0) return '';
  const [fault, target] = [from.slice(0, at), from.slice(at + 1)];
  const ready = suggestions.find((one) => one.fault === fault && one.target === target);
  if (ready) return ready.experiment;
  const near = suggestions.find((one) => one.target === target);
  return near ? other(near.experiment, fault, target) : bare(fault, target);
}

/** The same file with another fault; what is right then, nobody has said yet. */
function other(file: string, fault: string, target: string): string {
  return file
    .split('\n')
    .map((line) => {
      if (line.startsWith('title:')) return `title: ${JSON.stringify(`${fault} on ${target}`)}`;
      if (line.startsWith('fault:')) return `fault: ${FAULTS[fault] ?? fault}`;
      if (line.startsWith('expect:')) return 'expect: {decision: escalate}';
      return line;
    })
    .join('\n');
}

function bare(fault: string, target: string): string {
  return [
    `title: ${JSON.stringify(`${fault} on ${target}`)}`,
    'steady_state: {slos: [CHANGE-ME]}',
    `target: ${JSON.stringify(target)}`,
    `fault: ${FAULTS[fault] ?? fault}`,
    'blast_radius: {environment: default, services: [CHANGE-ME]}',
    'deadline: 2m',
    'observe: 3m',
    'expect: {decision: escalate}',
    '',
  ].join('\n');
}

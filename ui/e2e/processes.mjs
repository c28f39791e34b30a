// The processes of a run: started apart, and all stopped at the end, those too that Immune's agent
// started. A process is ours only when its program is one of ours and its command line names our
// folder.

import { spawn } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { until } from './until.mjs';

const OURS = ['immune', 'shop'];
const PATIENCE_MS = 20_000;
/** Of Linux's counters of time, whatever the kernel's own. */
const TICKS_A_SECOND = 100;

/** Ports on which nobody listens, all different. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Starts a program; what it says goes to the file `log`. */
export function start([program, ...rest], log, environment = {}) {
  const out = openSync(log, 'a');
  const child = spawn(program, rest, {
    stdio: ['ignore', out, out],
    env: { ...process.env, ...environment },
  });
  child.on('error', (error) => console.error(`${program}: ${error.message}`));
  return child;
}

function commandLine(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
  } catch {
    return [];
  }
}

/** Pids of our programs whose command line names `folder`, and `word` where one is given. */
function running(folder, word) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const [program, ...rest] = commandLine(pid);
      return (
        program !== undefined &&
        OURS.includes(basename(program)) &&
        rest.some((argument) => argument.includes(folder)) &&
        (word === undefined || rest[0] === word)
      );
    });
}

/** Seconds of a processor that a process has used. */
export function processorSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

async function stopThese(pids) {
  const signal = (name) =>
    pids.forEach((pid) => {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended already.
      }
    });
  const gone = () => pids.every((pid) => commandLine(pid).length === 0);
  signal('SIGTERM');
  await until('processes to end', gone, PATIENCE_MS).catch(() => signal('SIGKILL'));
}

/** First nobody asks any more, then nobody restarts any more, then the rest. */
export async function stopAll(folder) {
  for (const word of ['users', 'run', 'agent', undefined]) {
    await stopThese(running(folder, word));
  }
}

// A server of its own for a test: its configuration, its address, what can be asked of it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { front } from './front.mjs';
import { freePorts, processorSeconds, start, stopAll } from './processes.mjs';
import { until } from './until.mjs';

const READY_WITHIN_MS = 30_000;
const RESTS_FOR_MS = 1_000;

export class Server {
  /** `more` tells what is added to the configuration, of the server; `tokens` as in `api.tokens`. */
  static async start(programs, folder, { more = () => '', tokens } = {}) {
    mkdirSync(join(folder, 'logs'), { recursive: true });
    const [api, grpc, http, page] = await freePorts(4);
    const server = new Server(folder, { api, grpc, http });
    const file = join(folder, 'immune.yaml');
    writeFileSync(
      file,
      `storage: {path: ${join(folder, 'immune')}}
api:
  listen: 127.0.0.1:${api}
  origins: ["http://127.0.0.1:${page}"]
${tokens ? `  tokens: ${JSON.stringify(tokens)}\n` : ''}receivers: {otlp: {grpc: "127.0.0.1:${grpc}", http: "127.0.0.1:${http}"}}
${more(server)}`,
    );
    const command = [join(programs, 'immune'), 'run', '-c', file];
    server.pid = start(command, join(folder, 'logs/immune.log')).pid;
    await until(
      'the server',
      async () => (await fetch(`${server.url}/readyz`)).ok,
      READY_WITHIN_MS,
    );
    server.page = server.url;
    // PAGES=dist: those that were built last, though the program has its own.
    if (process.env.PAGES === 'dist' || !(await server.servesPages())) {
      server.page = `http://127.0.0.1:${page}`;
      server.close = await front(page, server.url);
    }
    return server;
  }

  constructor(folder, ports) {
    this.folder = folder;
    this.url = `http://127.0.0.1:${ports.api}`;
    this.otlpHttp = `http://127.0.0.1:${ports.http}`;
    this.otlpGrpc = `http://127.0.0.1:${ports.grpc}`;
  }

  async servesPages() {
    const answer = await fetch(`${this.url}/`);
    return answer.ok && (await answer.text()).includes('id="app"');
  }

  /** Nothing is left to be done of what was sent: it takes less than a tenth of a processor. */
  async rests() {
    const before = processorSeconds(this.pid);
    await new Promise((resolve) => setTimeout(resolve, RESTS_FOR_MS));
    return processorSeconds(this.pid) - before < RESTS_FOR_MS / 10_000;
  }

  async get(path, token) {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const answer = await fetch(`${this.url}/api/v1/${path}`, { headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async post(path, body) {
    const answer = await fetch(`${this.url}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  /** Sends OTLP as JSON: `traces`, `logs` or `metrics`. */
  async send(signal, body, token) {
    const headers = { 'content-type': 'application/json' };
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = await fetch(`${this.otlpHttp}/v1/${signal}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`OTLP ${signal}: ${answer.status} ${await answer.text()}`);
  }

  /** Ends the server and leaves its pages, where those come from elsewhere. */
  async stopServer() {
    await stopAll(this.folder);
  }

  async stop() {
    this.close?.();
    await stopAll(this.folder);
  }
}

// Runs the cases against real systems, one after the other, and counts them.
//
// usage: node e2e/main.mjs PROGRAMS [WORD]   (WORD: only cases whose name has it)

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Browser } from './browser.mjs';
import { cases as compare } from './cases/compare.mjs';
import { cases as drill } from './cases/drill.mjs';
import { cases as firstStart } from './cases/first-start.mjs';
import { cases as gone } from './cases/gone.mjs';
import { cases as hands } from './cases/hands.mjs';
import { cases as looks } from './cases/looks.mjs';
import { cases as telemetry } from './cases/telemetry.mjs';
import { expect } from './expect.mjs';
import { Server } from './server.mjs';
import { Shop } from './shop.mjs';

const ALL = [...firstStart, ...telemetry, ...drill, ...hands, ...compare, ...looks, ...gone];
const TOKENS = {
  ingest: 'ingest-0123456789abcdef',
  read: 'read-0123456789abcdef',
  admin: 'admin-0123456789abcdef',
};

const [programs, word = ''] = process.argv.slice(2);
if (!programs) {
  console.error('usage: node e2e/main.mjs PROGRAMS [WORD]');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'immune-ui-'));
const pictures = process.env.PICTURES ?? resolve('../target/ui-screenshots');

/** What cases share; each is started when the first case asks for it. */
class World {
  #started = new Map();

  #once(name, begin) {
    if (!this.#started.has(name)) this.#started.set(name, begin());
    return this.#started.get(name);
  }

  async for(needs) {
    const given = { browser: await this.browser(), expect };
    for (const need of needs) given[need] = await this[need]();
    return given;
  }
  browser() {
    return this.#once('browser', () => Browser.open(pictures));
  }
  empty() {
    return this.#once('empty', () => Server.start(resolve(programs), join(folder, 'empty')));
  }
  guarded() {
    return this.#once('guarded', async () => {
      const token = (name, secret) => [{ name, secret }];
      const tokens = {
        ingest: token('collector', TOKENS.ingest),
        read: token('wall', TOKENS.read),
        admin: token('ops', TOKENS.admin),
      };
      const server = await Server.start(resolve(programs), join(folder, 'guarded'), { tokens });
      return Object.assign(server, { tokens: TOKENS });
    });
  }
  shop() {
    return this.#once('shop', () => Shop.start(resolve(programs), join(folder, 'shop')));
  }
  async stop() {
    for (const started of this.#started.values()) {
      const one = await started.catch(() => undefined);
      await (one?.stop ? one.stop() : one?.close());
    }
  }
}

const world = new World();
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const { name, needs, run } of ALL) {
  if (!name.includes(word)) {
    counts.skipped += 1;
    continue;
  }
  const begun = Date.now();
  const took = () => `${((Date.now() - begun) / 1_000).toFixed(1)} s`;
  try {
    await run(await world.for(needs));
    counts.passed += 1;
    console.log(`ok   ${name} (${took()})`);
  } catch (error) {
    counts.failed += 1;
    console.log(`FAIL ${name} (${took()})\n     ${error.message.replaceAll('\n', '\n     ')}`);
  }
}
await world.stop();
if (counts.failed === 0) rmSync(folder, { recursive: true, force: true });
else console.log(`what the programs said: ${folder}`);
console.log(`ui: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed === 0 ? 0 : 1);

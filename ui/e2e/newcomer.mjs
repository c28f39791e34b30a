// The newcomer's path, timed: clone, `make demo`, the page that it names in a browser, until a healed
// incident is seen there. Nothing else is typed. Prints the seconds of each step, one line of JSON last.
//
// usage: node e2e/newcomer.mjs PICTURES [REPOSITORY]   (cargo and npm may have their downloads already)

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Browser } from './browser.mjs';

const HEALED_WITHIN_MS = 15 * 60_000;
const BUILT_WITHIN_MS = 60 * 60_000;
const PAGE = /in a browser: (http:\S+)/;

const [pictures, given] = process.argv.slice(2);
if (!pictures) {
  console.error('usage: node e2e/newcomer.mjs PICTURES [REPOSITORY]');
  process.exit(2);
}
const repository = given ?? resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const began = Date.now();
const steps = {};

/** The step that just ended, in seconds since the beginning. */
function ended(step) {
  steps[step] = Math.round((Date.now() - began) / 100) / 10;
  console.error(`${steps[step]} s: ${step}`);
}

/** What the demo says, line by line; `address` resolves when it names its page. */
function listen(demo) {
  return new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error('no page was named')), BUILT_WITHIN_MS);
    createInterface({ input: demo.stdout }).on('line', (line) => {
      console.error(`  ${line}`);
      if (/A shop under watch/.test(line)) ended('built');
      const address = PAGE.exec(line)?.[1];
      if (address) {
        clearTimeout(timer);
        found(address);
      }
    });
    demo.once('exit', (status) => failed(new Error(`make demo ended with ${status}`)));
  });
}

async function look(browser, address) {
  await browser.page(address, async (page) => {
    page.setDefaultTimeout(HEALED_WITHIN_MS);
    await page.goto('/');
    await page.locator('main h1').waitFor();
    ended('page_seen');
    // The demo's incident is told on the first page; who looks there needs one click.
    await page.locator('main a[href^="/incidents/"]').first().click();
    await page.locator('main h1').waitFor();
    ended('incident_seen');
    await page
      .locator('main')
      .getByText(/resolved/i)
      .first()
      .waitFor();
    ended('healed_seen');
    await browser.picture(page, 'newcomer', { full: true });
  });
}

const folder = mkdtempSync(join(tmpdir(), 'immune-newcomer-'));
const checkout = join(folder, 'immune');
const browser = await Browser.open(pictures);
let demo;
try {
  const clone = spawnSync('git', ['clone', '--quiet', repository, checkout], { stdio: 'inherit' });
  if (clone.status !== 0) throw new Error('git clone failed');
  ended('cloned');
  const { CARGO_TARGET_DIR: _, ...environment } = process.env;
  const stdio = ['ignore', 'pipe', 'inherit'];
  demo = spawn('make', ['demo'], { cwd: checkout, env: environment, stdio, detached: true });
  await look(browser, await listen(demo));
  console.log(JSON.stringify(steps));
} finally {
  if (demo?.exitCode === null) {
    // As Ctrl-C does: to all that the terminal holds.
    process.kill(-demo.pid, 'SIGINT');
    await once(demo, 'exit');
  }
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}

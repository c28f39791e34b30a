// Measures the pages in a real browser on a server that was sent much: bytes, time to the first
// figure, frames a second while somebody drags and scrolls. Prints one line of JSON last.
//
// usage: node e2e/measure.mjs PROGRAMS TRACES   (TRACES: folder for the browser's own traces)

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Browser, WIDE } from './browser.mjs';
import { Server } from './server.mjs';
import { sendSystem } from './system.mjs';
import { sendLogs, sendTrace } from './telemetry.mjs';
import { until } from './until.mjs';

const SERVICES = 300;
const EDGES = 1_500;
const SPANS = 10_000;
const MANY_SPANS = 50_000;
const LINES = 200_000;
const LINES_A_REQUEST = 4_000;
/** How long each page is moved. */
const MOVED_MS = 3_000;
/** A page is opened so many times; the median counts. */
const TIMES = 5;
const KNOWN_WITHIN_MS = 120_000;

const [programs, traces] = process.argv.slice(2);
if (!traces) {
  console.error('usage: node e2e/measure.mjs PROGRAMS TRACES');
  process.exit(2);
}
const say = (text) => console.error(text);
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const rounded = (value) => Math.round(value * 10) / 10;

/** All files that a browser may load, each compressed. */
function gzipKilobytes() {
  const dist = join(dirname(fileURLToPath(import.meta.url)), '../dist');
  const files = readdirSync(dist, { recursive: true, withFileTypes: true });
  const sizes = files
    .filter((entry) => entry.isFile())
    .map(
      (entry) => gzipSync(readFileSync(join(entry.parentPath, entry.name)), { level: 9 }).length,
    );
  return sizes.reduce((sum, size) => sum + size, 0) / 1_000;
}

/** Milliseconds from the beginning of the navigation until `selector` is there and painted. */
function shown(page, url, selector, count = 1) {
  return page.goto(url, { waitUntil: 'commit' }).then(() =>
    page.evaluate(
      ([wanted, least]) =>
        new Promise((done) => {
          const look = () =>
            document.querySelectorAll(wanted).length >= least
              ? requestAnimationFrame(() => done(performance.now()))
              : requestAnimationFrame(look);
          look();
        }),
      [selector, count],
    ),
  );
}

/** Frames a second while `move` is called with each frame's number, from the page's own clock. */
async function frames(browser, page, name, move) {
  await browser.chromium.startTracing(page, { path: join(traces, `${name}.json`) });
  const counted = page.evaluate(
    (length) =>
      new Promise((done) => {
        const times = [];
        const frame = (at) => {
          times.push(at);
          if (at - times[0] < length) requestAnimationFrame(frame);
          else done(times);
        };
        requestAnimationFrame(frame);
      }),
    MOVED_MS,
  );
  let moving = true;
  const moved = (async () => {
    for (let step = 0; moving; step += 1) await move(step);
  })();
  const times = await counted;
  moving = false;
  await moved;
  await browser.chromium.stopTracing();
  const gaps = times.slice(1).map((at, index) => at - times[index]);
  const seconds = (times.at(-1) - times[0]) / 1_000;
  return { fps: rounded(gaps.length / seconds), longest_ms: rounded(Math.max(...gaps)) };
}

async function center(page, selector) {
  const box = await page.locator(selector).first().boundingBox();
  return { x: box.x + box.width / 2, y: box.y + Math.min(box.height, WIDE.height - box.y) / 2 };
}

async function measured(server, browser) {
  const figures = { gzip_kb: rounded(gzipKilobytes()), cores: cpus().length };
  const times = async (url, selector, count) => {
    const all = [];
    for (let round = 0; round < TIMES; round += 1) {
      all.push(await browser.page(server.page, (page) => shown(page, url, selector, count)));
    }
    return rounded(median(all));
  };

  say('the first view');
  await sendSystem(server, 3, 2);
  await until('services', async () => (await server.get('status')).services > 0, KNOWN_WITHIN_MS);
  figures.interactive_ms = await times('/', 'main h1');

  say(`${SERVICES} services with ${EDGES} edges`);
  await sendSystem(server, SERVICES, EDGES);
  const known = async () => (await server.get('status')).services >= SERVICES;
  await until('the services', known, KNOWN_WITHIN_MS);
  figures.map_first_paint_ms = await times('/topology', '.map .n');
  await browser.page(server.page, async (page) => {
    await shown(page, '/topology?all=yes', '.map .n', SERVICES);
    const { x, y } = await center(page, '.map');
    await page.mouse.move(x, y);
    await page.mouse.down();
    const map = await frames(browser, page, 'map', (step) =>
      page.mouse.move(x + 200 * Math.sin(step / 9), y + 120 * Math.cos(step / 7)),
    );
    await page.mouse.up();
    Object.assign(figures, { map_fps: map.fps, map_longest_frame_ms: map.longest_ms });
  });

  for (const [count, key] of [
    [SPANS, 'waterfall'],
    [MANY_SPANS, 'waterfall_50k'],
  ]) {
    say(`a trace of ${count} spans`);
    const id = await sendTrace(server, 'report', count);
    const stored = async () => (await server.get(`traces/${id}`)).spans.length === count;
    await until('the trace', stored, KNOWN_WITHIN_MS);
    figures[`${key}_first_paint_ms`] = await times(`/traces/${id}`, 'main canvas');
    await browser.page(server.page, async (page) => {
      await shown(page, `/traces/${id}`, 'main canvas');
      const { x, y } = await center(page, 'main canvas');
      await page.mouse.move(x, y);
      const moved = await frames(browser, page, key, (step) =>
        page.mouse.wheel(0, step % 60 < 40 ? 180 : -360),
      );
      figures[`${key}_fps`] = moved.fps;
      figures[`${key}_longest_frame_ms`] = moved.longest_ms;
    });
  }

  say(`${LINES} log records`);
  for (let sent = 0; sent < LINES; sent += LINES_A_REQUEST) {
    const lines = Array.from({ length: LINES_A_REQUEST }, (_, i) => `order ${sent + i} is refused`);
    await sendLogs(server, 'orders', lines);
  }
  const counted = async () => (await server.get('logs/histogram?query=refused')).total >= LINES;
  await until('the log records', counted, KNOWN_WITHIN_MS);
  figures.logs_first_paint_ms = await times('/logs?query=refused', 'main [role=row], main .record');
  await browser.page(server.page, async (page) => {
    await shown(page, '/logs?query=refused', 'main [role=row], main .record');
    const { x, y } = await center(page, 'main [role=row], main .record');
    await page.mouse.move(x, y + 100);
    const moved = await frames(browser, page, 'logs', () => page.mouse.wheel(0, 900));
    Object.assign(figures, { logs_fps: moved.fps, logs_longest_frame_ms: moved.longest_ms });
  });

  figures.first_paint_ms = Math.max(
    figures.map_first_paint_ms,
    figures.waterfall_first_paint_ms,
    figures.logs_first_paint_ms,
  );
  return figures;
}

mkdirSync(traces, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'immune-measure-'));
const server = await Server.start(resolve(programs), folder);
const browser = await Browser.open(traces);
try {
  console.log(JSON.stringify(await measured(server, browser)));
} finally {
  await browser.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

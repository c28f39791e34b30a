// Measures the pages in a real browser on a server that was sent much: bytes, time to the first
// picture, frames a second while somebody drags, zooms and scrolls. Prints one line of JSON last.
//
// Figures are taken without the browser's own tracing, which costs frames; then each view is opened
// and moved once more with it, and the traces are left in a folder.
//
// usage: node e2e/measure.mjs PROGRAMS TRACES [WORD]   (WORD: only views whose name has it)

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Browser, FLAGS, WIDE } from './browser.mjs';
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
/** A page is opened so many times, each time by a browser that knows nothing; the median counts. */
const TIMES = 5;
const KNOWN_WITHIN_MS = 120_000;
const SHOWN_WITHIN_MS = 30_000;
/** To the last of all log lines. */
const PAGED_WITHIN_MS = 180_000;
/** A frame of 60 a second that comes later than this was missed. */
const LATE_MS = 25;

const [programs, traces, word = ''] = process.argv.slice(2);
if (!traces) {
  console.error('usage: node e2e/measure.mjs PROGRAMS TRACES [WORD]');
  process.exit(2);
}
const say = (text) => console.error(text);
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const rounded = (value) => Math.round(value * 10) / 10;

/** All files that a browser may load, each compressed. */
function gzipKilobytes() {
  const dist = join(import.meta.dirname, '../dist');
  const sizes = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name)))
    .map((bytes) => gzipSync(bytes, { level: 9 }).length);
  return sizes.reduce((sum, size) => sum + size, 0) / 1_000;
}

/** Opens a page; milliseconds from the beginning of the navigation until `selector` is painted. */
async function shown(page, { url, selector, count = 1 }) {
  await page.goto(url, { waitUntil: 'commit' });
  return page.evaluate(
    ([wanted, least, within]) =>
      new Promise((done, failed) => {
        // The first moment after the frame in which it stands.
        const painted = () => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => done(performance.now());
          requestAnimationFrame(() => port2.postMessage(undefined));
        };
        const look = () => {
          if (document.querySelectorAll(wanted).length >= least) painted();
          else if (performance.now() > within) failed(new Error(`${wanted} is not shown`));
          else requestAnimationFrame(look);
        };
        look();
      }),
    [selector, count, SHOWN_WITHIN_MS],
  );
}

/** Frames a second while `move` is called again and again, until `over` says so. */
async function frames(page, move, over) {
  await page.evaluate(() => {
    const times = [];
    globalThis.frames_at = times;
    const frame = (at) => {
      times.push(at);
      if (globalThis.frames_at === times) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const begun = Date.now();
  for (let step = 0; ; step += 1) {
    await move(step);
    if (await over(Date.now() - begun)) break;
  }
  const times = await page.evaluate(() => {
    const found = globalThis.frames_at;
    globalThis.frames_at = undefined;
    return found;
  });
  const gaps = times.slice(1).map((at, index) => at - times[index]);
  return {
    fps: rounded(gaps.length / ((times.at(-1) - times[0]) / 1_000)),
    late_frames: gaps.filter((gap) => gap > LATE_MS).length,
    longest_frame_ms: rounded(Math.max(...gaps)),
  };
}
const forMs = (length) => (passed) => passed > length;

/** Puts the pointer into the middle of what is seen of an element. */
async function pointAt(page, selector) {
  const box = await page.locator(selector).first().boundingBox();
  const seen = Math.min(box.height, WIDE.height - 29 - box.y);
  const [x, y] = [box.x + box.width / 2, box.y + seen / 2];
  await page.mouse.move(x, y);
  return { x, y };
}

async function dragged(page, length) {
  const { x, y } = await pointAt(page, MAP);
  await page.mouse.down();
  const found = await frames(
    page,
    (step) => page.mouse.move(x + 200 * Math.sin(step / 9), y + 120 * Math.cos(step / 7)),
    forMs(length),
  );
  await page.mouse.up();
  return found;
}
async function zoomed(page, length) {
  await pointAt(page, MAP);
  // In, out, and across the border from names to figures.
  return frames(page, (step) => page.mouse.wheel(0, step % 80 < 40 ? -60 : 60), forMs(length));
}
async function scrolled(page, length) {
  await pointAt(page, '[role=tree] canvas');
  return frames(page, (step) => page.mouse.wheel(0, step % 60 < 40 ? 180 : -360), forMs(length));
}
/** As fast as the list goes, until the last of all lines is there; then slower, back and forth. */
async function paged(page) {
  await pointAt(page, LIST);
  const last = page.locator(`#line-${LINES - 1}`);
  const begun = Date.now();
  const found = await frames(
    page,
    () => page.mouse.wheel(0, 60_000),
    async (passed) => {
      if (passed > PAGED_WITHIN_MS) throw new Error(`line ${LINES} is not reached`);
      return (await last.count()) > 0;
    },
  );
  return { ...found, s: rounded((Date.now() - begun) / 1_000) };
}
async function read(page, length) {
  await pointAt(page, LIST);
  return frames(page, (step) => page.mouse.wheel(0, step % 60 < 40 ? -900 : 1_500), forMs(length));
}

const MAP = 'section[aria-label=Map] [role=group]';
const LIST = '[role=listbox][aria-label="Log lines"]';
const BOX = 'main [data-id]';
const known = (server) => async () => (await server.get('status')).services >= SERVICES;
const sendMap = async (server) => {
  await sendSystem(server, SERVICES, EDGES);
  await until('the services', known(server), KNOWN_WITHIN_MS);
};
const trace = (count) => async (server) => {
  const id = await sendTrace(server, 'report', count);
  const stored = async () => (await server.get(`traces/${id}`)).spans.length === count;
  await until('the trace', stored, KNOWN_WITHIN_MS);
  return { url: `/traces/${id}` };
};
async function sendLines(server) {
  for (let sent = 0; sent < LINES; sent += LINES_A_REQUEST) {
    const lines = Array.from({ length: LINES_A_REQUEST }, (_, i) => `order ${sent + i} is refused`);
    await sendLogs(server, 'orders', lines);
  }
  const counted = async () => (await server.get('logs/histogram?query=refused')).total >= LINES;
  await until('the log records', counted, KNOWN_WITHIN_MS);
}

/** What is opened, after `send` has sent it; and how each is moved. */
const VIEWS = [
  {
    name: 'interactive',
    send: async (server) => {
      await sendSystem(server, 3, 2);
      await until('services', async () => (await server.get('status')).services > 0);
    },
    url: '/',
    selector: BOX,
  },
  { name: 'map', send: sendMap, url: '/topology', selector: BOX },
  {
    name: 'map_all',
    send: sendMap,
    url: '/topology?fold=no',
    selector: BOX,
    count: SERVICES,
    moves: { map: dragged, map_zoom: zoomed },
  },
  {
    name: 'waterfall',
    send: trace(SPANS),
    selector: '[role=tree] [role=treeitem]',
    count: 10,
    moves: { waterfall: scrolled },
  },
  {
    name: 'waterfall_50k',
    send: trace(MANY_SPANS),
    selector: '[role=tree] [role=treeitem]',
    count: 10,
    moves: { waterfall_50k: scrolled },
  },
  {
    name: 'logs',
    send: sendLines,
    url: '/logs?query=refused',
    selector: `${LIST} [role=option]`,
    count: 10,
    moves: { logs_paging: paged, logs: read },
  },
];

async function measured(server, browser) {
  const figures = {
    gzip_kb: rounded(gzipKilobytes()),
    cores: cpus().length,
    browser: browser.chromium.version(),
    flags: FLAGS.join(' '),
  };
  for (const view of VIEWS.filter(({ name }) => name.includes(word))) {
    say(view.name);
    const opened = { ...view, ...(await view.send(server)) };
    await until('the server to rest', () => server.rests(), KNOWN_WITHIN_MS);
    const times = [];
    for (let round = 0; round < TIMES; round += 1)
      times.push(await browser.page(server.page, (page) => shown(page, opened)));
    say(`  shown after ${times.map(Math.round).join(', ')} ms`);
    const first = view.name === 'interactive' ? 'interactive_ms' : `${view.name}_first_paint_ms`;
    figures[first] = rounded(median(times));
    await moved(server, browser, opened, figures);
  }
  const firsts = ['map', 'waterfall', 'logs'].map((name) => figures[`${name}_first_paint_ms`]);
  figures.first_paint_ms = Math.max(...firsts.filter((one) => one !== undefined));
  return figures;
}

async function moved(server, browser, view, figures) {
  const moves = Object.entries(view.moves ?? {});
  await browser.page(server.page, async (page) => {
    await shown(page, view);
    for (const [name, move] of moves) {
      const found = await move(page, MOVED_MS);
      say(`  ${name}: ${JSON.stringify(found)}`);
      for (const [key, value] of Object.entries(found)) figures[`${name}_${key}`] = value;
    }
  });
  await browser.page(server.page, async (page) => {
    await browser.chromium.startTracing(page, { path: join(traces, `${view.name}.json`) });
    await shown(page, view);
    for (const [, move] of moves.filter(([, move]) => move !== paged)) await move(page, 1_000);
    await browser.chromium.stopTracing();
  });
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

// Makes the pictures of the README (docs/images) and of docs/ui-review: a real system, hurt and healed,
// as its pages show it. Where a page has a mock, the mock stands left of it.
//
// usage: node e2e/pictures.mjs PROGRAMS [MOCKS]   (MOCKS: folder of overview.png, incident.png, …)

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Browser, NARROW, WIDE } from './browser.mjs';
import { compose } from './compose.mjs';
import { calm, openIncident } from './pages.mjs';
import { Shop } from './shop.mjs';
import { until } from './until.mjs';

/** Traffic before anything is hurt, so that there is something normal to be seen. */
const HISTORY_MS = 3 * 60_000;
const STEP_MS = 60_000;
const OVER_MS = 300_000;
/** What one would look at while it lasts: users were hurt for so long. */
const HURT_MS = 25_000;
const ALONE = { widthMax: 1_200, heightMax: 1_100 };
const DOCS = resolve(import.meta.dirname, '../../docs');
const RAW = resolve(import.meta.dirname, '../../target/pictures');

const [programs, mocks] = process.argv.slice(2);
if (!programs) {
  console.error('usage: node e2e/pictures.mjs PROGRAMS [MOCKS]');
  process.exit(2);
}
const say = (text) => console.error(text);

/** Pages as they are pictured; `full` goes on below the window, `tall` makes the window so high. */
class Album {
  constructor(browser, shop) {
    this.browser = browser;
    this.shop = shop;
  }

  async take(name, path, { viewport = WIDE, theme, full = true, tall = false } = {}) {
    say(`  ${name}`);
    await this.browser.page(
      this.shop.server.page,
      async (page) => {
        await page.goto(path);
        await page.getByRole('heading', { level: 1 }).first().waitFor();
        await until(`${name} to be read`, async () => {
          const busy = await page.locator('[aria-busy="true"]').count();
          return busy === 0 && (await page.locator('footer b').count()) > 0;
        });
        // No room is kept for a scroll bar.
        await page.evaluate(() => {
          Object.assign(document.documentElement.style, {
            overflow: 'hidden',
            scrollbarGutter: 'auto',
          });
        });
        if (tall) {
          const height = await page.evaluate(() => document.documentElement.scrollHeight);
          await page.setViewportSize({ width: viewport.width, height });
        }
        // Charts and maps are laid out beside the page; when nothing moves any more they are there.
        await until(`${name} to stand still`, () => stands(page));
        await this.browser.picture(page, name, { full });
      },
      { viewport, theme },
    );
  }
}

async function stands(page) {
  const before = await page.screenshot();
  await new Promise((done) => setTimeout(done, 400));
  return before.equals(await page.screenshot()) || stands.tries++ % 8 === 7;
}
stands.tries = 0;

const hurt = ['gateway', 'checkout'];
const begin = (shop, target) =>
  shop.server.post('drills', shop.experiment(target, { decision: 'heal', hurt }));
const drillOf = async (shop) => (await shop.server.get('drills'))[0];
const over = (shop) =>
  until('the drill to end', async () => (await drillOf(shop)).drill.phase === 'done', OVER_MS);

/** From well through hurt to healed; each page when it has most to tell. */
async function pictured(shop, album) {
  say('traffic');
  const begun = Date.now();
  await until('a while of traffic', () => Date.now() - begun > HISTORY_MS, HISTORY_MS + STEP_MS);
  await album.take('well', '/', { full: false });
  say('a part dies, and its restart asks');
  await begin(shop, 'payment-1');
  const incident = await openIncident(shop.server, STEP_MS);
  const plan = await until('a plan that asks', async () =>
    (await shop.server.get('plans')).find((one) => one.state === 'awaiting_approval'),
  );
  const hurtSince = Date.now();
  await until('harm to be seen', () => Date.now() - hurtSince > HURT_MS, STEP_MS);
  const page = `/incidents/${incident}`;
  await album.take('overview', '/?last=15m', { tall: true });
  await album.take('incident', page, { tall: true });
  await album.take('incident-dark', page, { tall: true, theme: 'dark' });
  await album.take('incident-narrow', page, { viewport: NARROW });
  await album.take('service', '/services/payment?last=15m', { tall: true });
  await album.take('services', '/services?last=15m', { tall: true });
  await album.take('healing', '/healing', { tall: true });
  await album.take('topology', '/topology', { full: false });
  await album.take('logs', '/logs?query=severity%3Aerror&last=15m', { full: false });
  await album.take('traces', '/traces?status=error&last=15m', { full: false });
  const { traces } = await shop.server.get('traces?status=error&limit=20');
  const deepest = traces.toSorted((a, b) => b.spans - a.spans)[0];
  await album.take('trace', `/traces/${deepest.trace_id}`, { full: false });
  say('it is approved, and helps');
  await shop.server.post(`plans/${plan.id}/approve`, {});
  await over(shop);
  await calm(shop);
  const healed = { viewport: { width: 1_440, height: 880 }, full: false };
  await album.take('healed', page, healed);
  await album.take('healed-dark', page, { ...healed, theme: 'dark' });
  await album.take('incidents', '/incidents', { full: false });
  await album.take('drill', `/drills/${(await drillOf(shop)).id}`, { tall: true });
  say('another dies, and is restarted');
  await begin(shop, 'cart');
  await until('the restart', async () =>
    (await shop.server.get('plans')).some((one) => one.state === 'verifying'),
  );
  await album.take('drills', '/drills', { tall: true });
  await album.take('settings', '/settings', { tall: true });
}

const MOCKED = ['overview', 'incident', 'incident-dark', 'incident-narrow', 'drills', 'service'];
const WITHOUT_MOCK = [
  'drill',
  'healing',
  'incidents',
  'logs',
  'services',
  'settings',
  'topology',
  'trace',
  'traces',
];
/** Of the README, by the names that they have there. */
const SHOWN = {
  'incident.png': 'healed',
  'incident-dark.png': 'healed-dark',
  'overview.png': 'overview',
  'drills.png': 'drills',
};

async function composed(browser) {
  const raw = (name) => join(RAW, `${name}.png`);
  const mock = (name) => join(mocks ?? '', `${name}.png`);
  const beside = mocks !== undefined && MOCKED.every((name) => existsSync(mock(name)));
  if (!beside)
    say(`no mocks in ${mocks ?? 'a folder that was given'}: pictures that stand beside one stay`);
  mkdirSync(join(DOCS, 'ui-review/images'), { recursive: true });
  await browser.page('about:blank', async (page) => {
    for (const [file, name] of Object.entries(SHOWN))
      await compose(page, [raw(name)], join(DOCS, 'images', file));
    for (const name of WITHOUT_MOCK) {
      const target = join(DOCS, `ui-review/images/${name}.png`);
      await compose(page, [raw(name)], target, ALONE);
    }
    for (const name of beside ? MOCKED : [])
      await compose(page, [mock(name), raw(name)], join(DOCS, `ui-review/images/${name}.png`));
  });
}

const folder = mkdtempSync(join(tmpdir(), 'immune-pictures-'));
const browser = await Browser.open(RAW);
let shop;
try {
  if (process.env.COMPOSE_ONLY === undefined) {
    shop = await Shop.start(resolve(programs), folder);
    await pictured(shop, new Album(browser, shop));
  }
  await composed(browser);
} finally {
  await browser.close();
  await shop?.stop();
  rmSync(folder, { recursive: true, force: true });
}

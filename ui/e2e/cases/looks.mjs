// Every page: axe, both themes, narrow screens, keys alone.

import { NARROW, overflow } from '../browser.mjs';
import { heading } from '../pages.mjs';
import { until } from '../until.mjs';

/** Pages, each with a name for its picture. */
async function pages(shop) {
  const [incident] = await shop.server.get('incidents');
  const [drill] = await shop.server.get('drills');
  const { traces } = await shop.server.get('traces?limit=1');
  return {
    overview: '/',
    incidents: '/incidents',
    ...(incident && { incident: `/incidents/${incident.id}` }),
    services: '/services',
    service: '/services/gateway',
    compare: '/compare?last=1m',
    'compare-service': '/compare?service=gateway&last=1m',
    traces: '/traces',
    ...(traces[0] && { trace: `/traces/${traces[0].trace_id}` }),
    logs: '/logs',
    drills: '/drills',
    ...(drill && { drill: `/drills/${drill.id}` }),
    healing: '/healing',
    topology: '/topology',
    settings: '/settings',
  };
}

/** Nothing is being read any more. */
async function settled(page) {
  await page.getByRole('heading', { level: 1 }).first().waitFor();
  await until(`${new URL(page.url()).pathname} to be read`, async () => {
    const busy = await page.locator('[aria-busy="true"]').count();
    return busy === 0 && (await page.locator('footer b').count()) > 0;
  });
}

export const cases = [
  {
    name: 'axe finds nothing serious on any page, light and dark',
    needs: ['shop'],
    async run({ browser, shop }) {
      const found = [];
      const all = await pages(shop);
      for (const theme of ['light', 'dark']) {
        await browser.page(
          shop.server.page,
          async (page) => {
            for (const [name, path] of Object.entries(all)) {
              await page.goto(path);
              await settled(page);
              await browser.picture(page, `${name}-${theme}`, { full: true });
              const violations = await browser.violations(page);
              found.push(...violations.map((one) => `${name}, ${theme}: ${one}`));
            }
          },
          { theme },
        );
      }
      if (found.length > 0) throw new Error(found.join('\n'));
    },
  },
  {
    name: 'no page scrolls sideways at 420 pixels, and its answer comes first',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await browser.page(
        shop.server.page,
        async (page) => {
          for (const [name, path] of Object.entries(await pages(shop))) {
            await page.goto(path);
            await settled(page);
            await browser.picture(page, `${name}-narrow`, { full: true });
            expect(await overflow(page), `${name} is wider by`).toBeBelow(1);
            const top = await page.getByRole('heading', { level: 1 }).first().boundingBox();
            expect(top.y, `${name}, headline at`).toBeBelow(300);
          }
          await page.goto('/');
          await page.getByRole('button', { name: 'Menu' }).click();
          await page.getByRole('link', { name: /^Incidents/ }).click();
          await page.waitForURL('**/incidents');
        },
        { viewport: NARROW },
      );
    },
  },
  {
    name: 'keys alone lead through the pages, and Escape back',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await browser.page(shop.server.page, async (page) => {
        await page.goto('/');
        await settled(page);
        for (const [key, path] of [
          ['d', '/drills'],
          ['i', '/incidents'],
          ['o', '/'],
        ]) {
          await page.keyboard.press('g');
          await page.keyboard.press(key);
          await page.waitForURL((url) => url.pathname === path);
          await settled(page);
        }
        await page.keyboard.press('?');
        await page.getByRole('dialog', { name: 'Keys of this page' }).waitFor();
        await browser.picture(page, 'help');
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await page.keyboard.press('/');
        await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
        await page.keyboard.type('payment');
        await page.getByRole('option', { selected: true }).filter({ hasText: 'payment' }).waitFor();
        await browser.picture(page, 'palette');
        await page.keyboard.press('Enter');
        await page.waitForURL('**/services/payment**');
        await settled(page);
        expect(await heading(page), 'headline').toMatch(/payment/);
        await page.goto('/drills');
        await settled(page);
        await page.keyboard.press('j');
        await page.keyboard.press('Enter');
        await page.waitForURL(/\/drills\/\d+/);
        await settled(page);
        await page.keyboard.press('Escape');
        await page.waitForURL((url) => url.pathname === '/drills');
      });
    },
  },
  {
    name: 'healing is frozen and thawed by keys, with its reason in the bottom line',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await browser.page(shop.server.page, async (page) => {
        await page.goto('/');
        await settled(page);
        await page.keyboard.press('f');
        await page.keyboard.type('looking at it');
        await page.keyboard.press('Enter');
        await page.getByText('frozen', { exact: true }).first().waitFor();
        const { frozen } = await shop.server.get('status');
        expect(frozen.reason, 'reason').toBe('looking at it');
        await browser.picture(page, 'frozen');
        await page.keyboard.press('f');
        await page.getByRole('dialog').getByRole('button', { name: 'Thaw healing' }).click();
        await page.getByRole('button', { name: /Freeze healing/ }).waitFor();
      });
    },
  },
];

// Two times and two versions that really differ, compared; and an incident with the time before it.

import { randomBytes } from 'node:crypto';
import { calm, Drills, heading, openIncident } from '../pages.mjs';
import { resource, span } from '../telemetry.mjs';
import { until } from '../until.mjs';

const MINUTE = 60_000;
const FAILED = { status: { code: 2, message: 'refused' } };
const RESOLVED_MS = 300_000;
const id = (bytes) => randomBytes(bytes).toString('hex');

/** One request each 500 ms of a time; `of` tells of the one with this number. */
async function sendRequests(server, service, [from, to], of, version) {
  const about = resource(service);
  if (version) {
    about.attributes.push({ key: 'service.version', value: { stringValue: version } });
    about.attributes[1].value.stringValue = `${service}-${version}`;
  }
  const spans = [];
  for (let at = from; at < to; at += 500) {
    const { name, took = 20, more = {} } = of(spans.length);
    const [method, route] = name.split(' ');
    const attributes = [
      { key: 'http.request.method', value: { stringValue: method } },
      { key: 'http.route', value: { stringValue: route } },
    ];
    spans.push(span(id(16), id(8), '', name, at - took, at, { attributes, ...more }));
  }
  await server.send('traces', {
    resourceSpans: [{ resource: about, scopeSpans: [{ scope: { name: 'tests/ui' }, spans }] }],
  });
  return spans.length;
}

async function sendErrors(server, service, [from, to]) {
  const logRecords = [];
  for (let at = from; at < to; at += 2_000) {
    logRecords.push({
      timeUnixNano: `${at}000000`,
      severityNumber: 17,
      severityText: 'ERROR',
      body: { stringValue: 'the tariff is unknown' },
    });
  }
  await server.send('logs', {
    resourceLogs: [
      { resource: resource(service), scopeLogs: [{ scope: { name: 'tests/ui' }, logRecords }] },
    ],
  });
}

/** Requests of a service are counted, so many of them. */
function counted(server, service, wanted) {
  const match = encodeURIComponent(`immune.requests{service="${service}",of="service"}`);
  return until(`requests of ${service}`, async () => {
    const { series } = await server.get(
      `series?match=${match}&from=10m&step=1h&function=sum&limit=5`,
    );
    const points = series.flatMap((one) => one.points);
    return points.reduce((sum, [, value]) => sum + value, 0) >= wanted;
  });
}

const answered = (page) =>
  page
    .locator('h1')
    .filter({ hasNotText: /^Comparing/ })
    .waitFor();

export const cases = [
  {
    name: 'compare: two times, by a key from the service, told largest first, and shared by address',
    needs: ['empty'],
    async run({ browser, empty, expect }) {
      const now = Math.floor(Date.now() / 10_000) * 10_000;
      const [a, b] = [
        [now - 4.5 * MINUTE, now - 2.5 * MINUTE],
        [now - 2.5 * MINUTE, now - 0.5 * MINUTE],
      ];
      const get = { name: 'GET /price' };
      const before = await sendRequests(empty, 'pricing', a, () => get);
      const after = await sendRequests(empty, 'pricing', b, (number) =>
        number % 4 === 0 ? { name: 'POST /discount', more: FAILED } : get,
      );
      await sendErrors(empty, 'pricing', b);
      await counted(empty, 'pricing', before + after);
      await browser.page(empty.page, async (page) => {
        await page.goto('/services/pricing?last=5m');
        await page.getByRole('link', { name: 'Compare', exact: true }).waitFor();
        await page.keyboard.press('c');
        await page.waitForURL((url) => url.pathname === '/compare');
        await answered(page);

        await page.getByText('Times to the second').click();
        // Chromium writes no seconds where they are zero.
        const fill = (name, time) =>
          page.getByLabel(name).fill(new Date(time).toISOString().slice(0, 19).replace(/:00$/, ''));
        await fill('A from', a[0]);
        await fill('A to', a[1]);
        await fill('B from', b[0]);
        await fill('B to', b[1]);
        await page.getByRole('button', { name: 'Compare these' }).click();
        await page.waitForURL(/a=/);
        await answered(page);
        await until('the answer', async () => /fails/.test(await heading(page)));
        expect(await heading(page), 'headline').toMatch(
          /^pricing.* fails 25\s%.* in B, 0\s%.* in A; \d+ other differences?$/,
        );
        const rows = page.getByRole('row');
        await rows
          .filter({ hasText: 'pricing POST /discount' })
          .filter({ hasText: 'new' })
          .waitFor();
        await rows.filter({ hasText: 'error lines' }).filter({ hasText: 'new' }).waitFor();
        expect(await page.getByText(/^Unchanged: \d+ figures?$/).count(), 'folded').toBe(1);
        await browser.picture(page, 'compare', { full: true });
        const said = await heading(page);

        // Each figure leads to what it was counted of; back, and by a copied address, it is the same.
        await page.keyboard.press('j');
        await page.keyboard.press('Enter');
        await page.waitForURL((url) => url.pathname === '/traces');
        expect(new URL(page.url()).searchParams.get('status'), 'status').toBe('error');
        await page.getByText('POST /discount').first().waitFor();
        await page.goBack();
        await page.waitForURL((url) => url.pathname === '/compare');
        await until('the same answer', async () => (await heading(page)) === said);
        await page.goto(page.url());
        await until('the same answer', async () => (await heading(page)) === said);

        await page.keyboard.press('s');
        await until('sides swapped', async () =>
          /fails 0\s%.* in B, 25\s%.* in A/.test(await heading(page)),
        );
        await page.goBack();
        await until('swapped back', async () => (await heading(page)) === said);
      });
    },
  },
  {
    name: 'compare: two versions at once, by a key from the service',
    needs: ['empty'],
    async run({ browser, empty, expect }) {
      const now = Date.now();
      const time = [now - 4 * MINUTE, now - 10_000];
      const get = { name: 'GET /entry' };
      await sendRequests(empty, 'invoicing', time, () => get, '1.2');
      await sendRequests(
        empty,
        'invoicing',
        time,
        (number) => (number % 3 === 0 ? { name: 'PUT /entry', took: 90 } : { ...get, took: 90 }),
        '1.3',
      );
      await until('two versions', async () => {
        const { versions } = await empty.get('services/invoicing');
        return versions.length === 2;
      });
      await browser.page(empty.page, async (page) => {
        await page.goto('/services/invoicing');
        await page.getByText('Versions compared').waitFor();
        await page.keyboard.press('c');
        await page.waitForURL(/versions=/);
        await until('the answer', async () => /in 1\.[23]/.test(await heading(page)));
        const rows = page.getByRole('row');
        await rows.filter({ hasText: 'PUT /entry' }).filter({ hasText: 'new' }).waitFor();
        await rows.filter({ hasText: 'p95' }).filter({ hasText: '90' }).first().waitFor();
        await browser.picture(page, 'compare-versions', { full: true });
        expect(await page.getByRole('combobox', { name: 'B', exact: true }).inputValue(), 'B').toBe(
          '1.3',
        );
      });
    },
  },
  {
    name: 'compare: what an incident did, by a key from it, against as long before',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await browser.page(shop.server.page, async (page) => {
        let [incident] = await shop.server.get('incidents');
        if (!incident) {
          await calm(shop);
          await new Drills(page).run(
            shop.experiment('cart', { decision: 'heal', hurt: ['gateway', 'checkout'] }),
          );
          await openIncident(shop.server, RESOLVED_MS);
          await calm(shop, RESOLVED_MS);
          [incident] = await shop.server.get('incidents');
        }
        await page.goto(`/incidents/${incident.id}`);
        await page.getByRole('link', { name: 'Compare with before' }).waitFor();
        await page.keyboard.press('c');
        await page.waitForURL((url) => url.pathname === '/compare');
        const { searchParams } = new URL(page.url());
        expect(Date.parse(searchParams.get('from')), 'B begins').toBe(
          Math.floor(Date.parse(incident.onset)),
        );
        await answered(page);
        expect(await heading(page), 'headline').toMatch(/ A\b/);
        await browser.picture(page, 'compare-incident', { full: true });
        await page.keyboard.press('Escape');
        await page.waitForURL(`**/incidents/${incident.id}`);
      });
    },
  },
];

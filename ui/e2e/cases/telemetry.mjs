// Traces and logs: found, opened, linked both ways; a trace of 10,000 spans.

import { heading } from '../pages.mjs';
import { sendLogs, sendSpan, sendTrace } from '../telemetry.mjs';

const SPANS = 10_000;

export const cases = [
  {
    name: 'logs are found by a word, and lead to their trace and back',
    needs: ['empty'],
    async run({ browser, empty, expect }) {
      const trace = await sendSpan(empty, 'billing', 'POST /invoice');
      await sendLogs(empty, 'billing', ['invoice 4711 refused', 'ledger is unreachable'], trace);
      await browser.page(empty.page, async (page) => {
        await page.goto('/logs?query=ledger');
        await page.getByText('ledger is unreachable').first().waitFor();
        expect(await page.getByText('invoice 4711 refused').count(), 'others').toBe(0);
        await browser.picture(page, 'logs');
        await page.goto(`/traces/${trace}`);
        await page.getByText('POST /invoice').first().waitFor();
        await page.getByRole('main').getByRole('link', { name: /logs/i }).first().click();
        await page.getByText('ledger is unreachable').first().waitFor();
        expect(page.url(), 'address').toMatch(new RegExp(trace));
        await page.goBack();
        await page.waitForURL(`**/traces/${trace}**`);
      });
    },
  },
  {
    name: 'traces are found by service and operation, and the address says so',
    needs: ['empty'],
    async run({ browser, empty, expect }) {
      const trace = await sendSpan(empty, 'shipping', 'PUT /parcel');
      await browser.page(empty.page, async (page) => {
        await page.goto('/traces?service=shipping');
        const link = page.locator(`a[href*="${trace}"]`).first();
        await link.waitFor();
        await browser.picture(page, 'traces');
        await link.click();
        await page.waitForURL(`**/traces/${trace}**`);
        await page.getByText('PUT /parcel').first().waitFor();
        await page.goBack();
        expect(new URL(page.url()).searchParams.get('service'), 'filter').toBe('shipping');
      });
    },
  },
  {
    name: `a trace of ${SPANS} spans is drawn, and goes by keys`,
    needs: ['empty'],
    async run({ browser, empty, expect }) {
      const trace = await sendTrace(empty, 'reporting', SPANS);
      await browser.page(empty.page, async (page) => {
        const begun = Date.now();
        await page.goto(`/traces/${trace}`);
        await page.locator('canvas').first().waitFor();
        await page
          .getByText(/10,000\s*spans/)
          .first()
          .waitFor();
        console.log(`     drawn after ${Date.now() - begun} ms`);
        expect(await heading(page), 'headline').toMatch(/GET \/report|reporting/);
        await browser.picture(page, 'waterfall');
        await page.keyboard.press('j');
        await page.keyboard.press('j');
        await page.keyboard.press('Enter');
        await page.waitForURL(/span=/);
        await browser.picture(page, 'waterfall-span');
      });
    },
  },
];

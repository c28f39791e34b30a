// A drill from the page: planned, run, followed live through its incident to its scorecard; and a
// plan that a person approves.

import { calm, Drills, heading, openIncident } from '../pages.mjs';
import { until } from '../until.mjs';

const DETECTED_MS = 60_000;
const OVER_MS = 240_000;
/** Users must have been well for a minute. */
const RESOLVED_MS = 180_000;

export const cases = [
  {
    name: 'a drill is planned, run and followed live through its incident to a healed scorecard',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await calm(shop);
      await browser.page(shop.server.page, async (page) => {
        const drills = new Drills(page);
        const experiment = shop.experiment('cart', {
          decision: 'heal',
          hurt: ['gateway', 'checkout'],
        });
        const id = await drills.run(experiment);
        expect(drills.exactly, 'plan').toMatch(/pid|process/i);
        await drills.stage('Fault in effect', DETECTED_MS);
        await drills.stage('Detected', DETECTED_MS);
        await browser.picture(page, 'drill-running');
        const incident = await openIncident(shop.server, DETECTED_MS);
        await browser.page(shop.server.page, async (second) => {
          await second.goto(`/incidents/${incident}`);
          await second.getByText(/cart/).first().waitFor();
          await browser.picture(second, 'incident-live');
          await drills.stage('Acted', DETECTED_MS);
          await second
            .getByText(/restart/i)
            .first()
            .waitFor();
          await second
            .getByText(/resolved/i)
            .first()
            .waitFor({ timeout: RESOLVED_MS });
          await browser.picture(second, 'incident-resolved');
        });
        await page.getByText('Passed', { exact: true }).waitFor({ timeout: OVER_MS });
        expect(await heading(page), 'headline').toMatch(/cart was killed and healed/);
        await browser.picture(page, 'drill-passed', { full: true });
        await page.goto('/drills');
        await page.getByRole('link', { name: /Process killed at cart, passed/ }).waitFor();
        await browser.picture(page, 'drills', { full: true });
        const record = await shop.server.get(`drills/${id}`);
        expect(record.scorecard.passed, 'the scorecard').toBe(true);
      });
    },
  },
  {
    name: 'a plan that asks is approved on its incident, acts, and is verified',
    needs: ['shop'],
    async run({ browser, shop }) {
      await calm(shop);
      await browser.page(shop.server.page, async (page) => {
        const drills = new Drills(page);
        const hurt = ['gateway', 'checkout'];
        await drills.run(shop.experiment('payment-1', { decision: 'heal', hurt }));
        const incident = await openIncident(shop.server, DETECTED_MS);
        await page.goto(`/incidents/${incident}`);
        const approve = page.getByRole('button', { name: /^Approve/ }).first();
        await approve.waitFor({ timeout: DETECTED_MS });
        await browser.picture(page, 'approve');
        await approve.click();
        // It asks once, and shows what will be done.
        const dialog = page.getByRole('dialog');
        await dialog
          .getByText(/payment-1/)
          .first()
          .waitFor();
        await browser.picture(page, 'approve-asked');
        await dialog.getByRole('button', { name: /^Approve/ }).click();
        const verified = async () => {
          const plans = await shop.server.get('plans');
          return plans.find((one) => one.incident === incident)?.state === 'verified';
        };
        await until('a verified plan', verified, RESOLVED_MS);
        await page
          .getByText(/Resolved \d/)
          .first()
          .waitFor();
        await browser.picture(page, 'approved', { full: true });
      });
    },
  },
];

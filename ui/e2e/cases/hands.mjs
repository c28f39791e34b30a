// What a person does by hand: pauses and resumes healing, stops the schedule, says no to a plan, ends
// a drill and an incident; and what one who may only read sees of all this.

import { calm, Drills, heading, openIncident } from '../pages.mjs';
import { PLANNED } from '../shop.mjs';
import { sendVersion } from '../telemetry.mjs';
import { until } from '../until.mjs';

const DETECTED_MS = 60_000;
const UNDONE_MS = 60_000;

/** A page that takes its reader for one who may only read. */
async function asReader(page) {
  const me = { name: 'wall', role: 'read' };
  await page.route('**/api/v1/me', (route) => route.fulfill({ json: me }));
}

/** Each of these buttons is there, cannot be pressed, and says who may. */
async function refused(page, expect, names) {
  for (const name of names) {
    const button = page.getByRole('main').getByRole('button', { name }).first();
    await button.waitFor();
    await until(`${name} to be disabled`, () => button.isDisabled());
    expect(await button.getAttribute('title'), `the reason of ${name}`).toMatch(/wall.*takes/);
  }
}

export const cases = [
  {
    name: 'healing of one service is paused with a reason, and resumed',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await browser.page(shop.server.page, async (page) => {
        await page.goto('/healing');
        await page.getByText('No pause is in force').waitFor();
        await page.getByRole('button', { name: 'Pause…' }).click();
        const dialog = page.getByRole('dialog', { name: 'Pause healing' });
        await dialog.getByLabel('What').selectOption('service:payment');
        await dialog.getByLabel('Name').fill('upgrade');
        await dialog.getByLabel('For how long').fill('soon');
        const pause = dialog.getByRole('button', { name: 'Pause healing' });
        expect(await pause.getAttribute('title'), 'why not').toMatch(/30m/);
        await dialog.getByLabel('For how long').fill('30m');
        await dialog.getByLabel('Reason').fill('new certificates');
        await browser.picture(page, 'pause-asked');
        await pause.click();
        await dialog.waitFor({ state: 'detached' });
        const line = page.getByRole('listitem').filter({ hasText: 'service payment' });
        await line.waitFor();
        expect(await line.textContent(), 'the pause').toMatch(/for (30|29)\smin.*new certificates/);
        const [kept] = await shop.server.get('pauses');
        expect(kept.what.service, 'what is paused').toBe('payment');
        await browser.picture(page, 'paused');
        await line.getByRole('button', { name: 'Resume' }).click();
        await page.getByText('No pause is in force').waitFor();
        expect((await shop.server.get('pauses')).length, 'pauses').toBe(0);
      });
    },
  },
  {
    name: 'what is scheduled is shown, stopped, and let go on',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await browser.page(shop.server.page, async (page) => {
        await page.goto('/drills');
        const row = page.getByRole('row').filter({ hasText: PLANNED });
        await row.waitFor();
        const text = await row.textContent();
        expect(text, 'the entry').toMatch(/7d on tue wed thu.*has not run yet/);
        expect(text, 'its next run').toMatch(/(Tue|Wed|Thu|tue|wed|thu|2\d{3}-\d\d-\d\d).*\d\d:00/);
        await browser.picture(page, 'schedule', { full: true });
        await page.getByRole('button', { name: 'Stop all drills' }).click();
        const dialog = page.getByRole('dialog', { name: 'Stop all drills' });
        await dialog.getByRole('button', { name: 'Stop all drills and undo' }).click();
        await page.getByText('nothing runs by itself').waitFor();
        const { stopped } = await shop.server.get('drills/schedule');
        expect(stopped !== null, 'it is stopped').toBe(true);
        await page.getByRole('button', { name: 'Let the schedule go on' }).click();
        await page.getByRole('button', { name: 'Stop all drills' }).waitFor();
      });
    },
  },
  {
    name: 'a plan is denied by keys, its drill stopped and undone, its incident closed',
    needs: ['shop'],
    async run({ browser, shop, expect }) {
      await calm(shop);
      await browser.page(shop.server.page, async (page) => {
        const hurt = ['gateway', 'checkout'];
        const drill = await new Drills(page).run(
          shop.experiment('payment-2', { decision: 'heal', hurt }),
        );
        const incident = await openIncident(shop.server, DETECTED_MS);
        const asked = async () =>
          (await shop.server.get('plans')).find(
            (plan) => plan.incident === incident && plan.state === 'awaiting_approval',
          );
        const { id: plan } = await until('a plan that asks', asked, DETECTED_MS);
        await readersHands(browser, shop, expect, { incident });

        await page.goto(`/incidents/${incident}`);
        await page
          .getByRole('button', { name: /^Approve/ })
          .first()
          .waitFor();
        await page.keyboard.press('d');
        const dialog = page.getByRole('dialog', { name: /^Deny/ });
        await dialog.getByText('waits for a person').waitFor();
        await browser.picture(page, 'deny-asked');
        await page.keyboard.press('Enter');
        await dialog.waitFor({ state: 'detached' });
        await page
          .getByText(/was denied by local.*A person is needed/)
          .first()
          .waitFor();
        expect((await shop.server.get(`plans/${plan}`)).state, 'the plan').toBe('denied');
        await browser.picture(page, 'denied', { full: true });

        await page.goto(`/drills/${drill}`);
        await page.getByRole('button', { name: 'Stop and undo' }).click();
        const over = async () => (await shop.server.get(`drills/${drill}`)).drill.phase === 'done';
        await until('the drill to be over', over, UNDONE_MS);
        await page.getByRole('button', { name: 'Run it again' }).waitFor();
        expect(await heading(page), 'headline of the drill').toMatch(/aborted|stopped/);
        await page.getByText('No result', { exact: true }).waitFor();
        await browser.picture(page, 'drill-stopped', { full: true });

        await page.goto(`/incidents/${incident}`);
        await page.getByRole('button', { name: 'Close…' }).click();
        const closing = page.getByRole('dialog', { name: /^Close incident/ });
        await closing.getByRole('button', { name: `Close incident ${incident}` }).click();
        await closing.waitFor({ state: 'detached' });
        await page
          .getByText(/Resolved \d/)
          .first()
          .waitFor();
        expect(await page.getByRole('button', { name: 'Close…' }).count(), 'Close…').toBe(0);
        await page
          .getByText(/closed/i)
          .first()
          .waitFor();
        await browser.picture(page, 'incident-closed', { full: true });
      });
    },
  },
  {
    name: 'versions of a service at once are told apart, and the failing one is named',
    needs: ['empty'],
    async run({ browser, empty, expect }) {
      await sendVersion(empty, 'ledger', '1.4.0', { requests: 400, failed: 0 });
      await sendVersion(empty, 'ledger', '1.4.9', { requests: 150, failed: 0 });
      await sendVersion(empty, 'ledger', '1.5.0', { requests: 300, failed: 120 });
      await browser.page(empty.page, async (page) => {
        await page.goto('/services');
        const row = page.getByRole('row').filter({ hasText: 'ledger' });
        await row.first().waitFor();
        expect(await row.first().textContent(), 'its versions').toMatch(/1\.4\.0.*1\.5\.0/);
        await page.goto('/services/ledger');
        await page.getByText('Versions compared').waitFor();
        await page.getByRole('heading', { name: /ledger fails .* on 1\.5\.0/ }).waitFor();
        await page.getByRole('cell', { name: 'worse' }).first().waitFor();
        await browser.picture(page, 'versions', { full: true });
      });
    },
  },
];

/** Who may only read sees the same plan and drill, can press nothing, and is told who may. */
function readersHands(browser, shop, expect, { incident }) {
  return browser.page(shop.server.page, async (page) => {
    await asReader(page);
    await page.goto(`/incidents/${incident}`);
    await refused(page, expect, [/^Approve/, 'Deny', 'Close…']);
    await page.keyboard.press('a');
    await page.keyboard.press('d');
    expect(await page.getByRole('dialog').count(), 'dialogs').toBe(0);
    await browser.picture(page, 'read-only-incident');
    await page.goto('/drills');
    await refused(page, expect, ['Stop and undo', 'Start a drill', 'Stop all drills']);
    await page.keyboard.press('x');
    await page.goto('/healing');
    await refused(page, expect, [/^Approve/, 'Freeze healing', 'Pause…']);
    const { drill } = (await shop.server.get('drills'))[0];
    expect(drill.phase, 'the drill goes on').not.toMatch(/undoing|done/);
  });
}

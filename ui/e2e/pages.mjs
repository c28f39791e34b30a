// What tests do on pages, in the words of pages.

import { until } from './until.mjs';

export async function heading(page) {
  return (await page.getByRole('heading', { level: 1 }).first().textContent())?.trim() ?? '';
}

export class Drills {
  constructor(page) {
    this.page = page;
  }

  /** Plans an experiment from a file, and begins it; the drill's number. */
  async run(experiment) {
    const { page } = this;
    await page.goto('/drills');
    await page.getByRole('heading', { level: 1 }).first().waitFor();
    await page.getByRole('button', { name: /Start a drill/ }).click();
    await page.getByLabel('Choose an experiment file').setInputFiles({
      name: 'experiment.json',
      mimeType: 'application/json',
      buffer: Buffer.from(JSON.stringify(experiment)),
    });
    // It is planned as soon as it is chosen.
    await page.getByText('Nothing speaks against it').waitFor();
    this.exactly = await page.getByLabel('Plan', { exact: true }).textContent();
    await page.getByRole('button', { name: 'Inject the fault' }).click();
    await page.waitForURL(/\/drills\/\d+$/);
    return Number(/\d+$/.exec(page.url())[0]);
  }

  /** The stage of this name is done. */
  async stage(name, withinMs) {
    const stage = this.page
      .getByRole('list', { name: /^Stages/ })
      .getByRole('listitem')
      .filter({ hasText: `${name}, done` });
    await stage.first().waitFor({ timeout: withinMs });
    return (await stage.first().textContent()).trim();
  }
}

/** The number of the incident that is open, once there is one. */
export function openIncident(server, withinMs) {
  return until(
    'an incident',
    async () => {
      const list = await server.get('incidents');
      return list.find(({ state }) => state !== 'resolved')?.id;
    },
    withinMs,
  );
}

/** Nothing is open, and users are well: a drill may begin. */
export function calm(shop, withinMs = 240_000) {
  return until(
    'calm',
    async () => {
      const { open_incidents: open } = await shop.server.get('status');
      return open === 0 && (await shop.isWell());
    },
    withinMs,
  );
}

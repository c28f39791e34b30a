// A server that goes away: pages say that what they show is old. The last case: it ends the server.

export const cases = [
  {
    name: 'a server that does not answer is told of, and what is shown is called old',
    needs: ['empty'],
    async run({ browser, empty }) {
      await browser.page(empty.page, async (page) => {
        await page.goto('/drills');
        await page.getByRole('button', { name: /Freeze healing/ }).waitFor();
        await empty.stopServer();
        await page.getByText('Immune does not answer.').waitFor({ timeout: 40_000 });
        await browser.picture(page, 'stale');
      });
    },
  },
];

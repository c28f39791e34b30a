// The browser: pages of a size, what they complain of, pictures, and axe.

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const WITHIN_MS = 20_000;
/** Debian's Chromium without a screen; without a graphics card it draws by software. */
export const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 420, height: 860 };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export class Browser {
  static async open(pictures) {
    mkdirSync(pictures, { recursive: true });
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    browser.pictures = pictures;
    return browser;
  }

  /** Runs `use` with a page of its own; fails when the page complained of something. */
  async page(url, use, { viewport = WIDE, theme = 'light', token } = {}) {
    const context = await this.chromium.newContext({
      baseURL: url,
      viewport,
      colorScheme: theme,
      reducedMotion: 'reduce',
    });
    context.setDefaultTimeout(WITHIN_MS);
    if (token) {
      await context.addInitScript((kept) => sessionStorage.setItem('immune-token', kept), token);
    }
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(`${error.message} at ${page.url()}`));
    page.on('console', (message) => {
      // What the server refuses the page tells in its own words; that is no complaint.
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) {
        complaints.push(message.text());
      }
    });
    try {
      const result = await use(page);
      if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join('; ')}`);
      return result;
    } catch (error) {
      await this.picture(page, `failed-${Date.now()}`).catch(() => {});
      throw error;
    } finally {
      await context.close();
    }
  }

  async picture(page, name, { full = false } = {}) {
    await page.screenshot({ path: join(this.pictures, `${name}.png`), fullPage: full });
  }

  /** What axe finds that is serious or worse, one line each. */
  async violations(page) {
    await page.evaluate(AXE);
    const found = await page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, {
        resultTypes: ['violations'],
      });
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, help, nodes }) => {
          const where = nodes.slice(0, 3).map((node) => node.target.join(' '));
          return `${id} (${help}) at ${where.join(', ')}${nodes.length > 3 ? ' …' : ''}`;
        });
    });
    return found;
  }

  async close() {
    await this.chromium.close();
  }
}

/** Does the page scroll sideways? By how many pixels. */
export function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

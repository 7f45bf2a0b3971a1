// A real browser, and what is true of every page it opens.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const BINARY = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';
/** Longest that the browser may take for anything, in milliseconds. */
const PATIENCE = 20_000;

/** Opens pages; ends with them. A machine without a browser fails: a page that nobody has looked at is not tested. */
export class Browser {
  static async open() {
    assert.ok(existsSync(BINARY), `no browser at ${BINARY}: install Debian's chromium, or name one in CHROMIUM_BIN`);
    // Chromium cannot make its own sandbox as root, as CI runs it. It opens nothing but the nodes of the test.
    const args = ['--no-sandbox', '--disable-dev-shm-usage'];
    return Object.assign(new Browser(), { browser: await chromium.launch({ executablePath: BINARY, args }), faults: [] });
  }

  /** A page of `node`, in a window of its own. What it must not do is kept in `faults`. */
  async page(node, { size = [1280, 800], options = {}, path = '/' } = {}) {
    const [width, height] = size;
    const context = await this.browser.newContext({ viewport: { width, height }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const fault = (what) => this.faults.push(what);
    page.on('pageerror', (error) => fault(`an error in the page: ${error.stack}`));
    page.on('dialog', (dialog) => {
      fault(`a dialog: ${dialog.message()}`);
      return dialog.dismiss();
    });
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol !== 'data:' && origin !== node.url) fault(`a request that leaves the node: ${request.url()}`);
    });
    await context.exposeFunction('reportViolation', (what) => fault(`against the policy: ${what}`));
    await context.addInitScript(() => {
      const report = ({ violatedDirective, blockedURI }) => globalThis.reportViolation(`${violatedDirective} ${blockedURI}`);
      document.addEventListener('securitypolicyviolation', report);
    });
    await page.goto(`${node.url}${path}`);
    return page;
  }

  /** Ends, and nothing was wrong on any page. */
  async end() {
    await this.browser.close();
    assert.deepEqual(this.faults, []);
  }
}

/** A story's body with a browser that is closed in any case. */
export const withBrowser = (body) => async (network, t) => {
  const browser = await Browser.open();
  try {
    await body(network, t, browser);
  } catch (error) {
    for (const fault of browser.faults) console.error(fault);
    await browser.browser.close();
    throw error;
  }
  await browser.end();
};

/** The text of the first element that `selector` finds, without spaces around it. */
export const text = async (page, selector) => (await page.locator(selector).first().textContent()).trim();

/** Waits until the text at `selector` is `expected`, or matches it. */
export async function says(page, selector, expected) {
  const pattern = expected instanceof RegExp ? [expected.source, expected.flags] : null;
  const look = ([at, plain, pattern]) => {
    const found = document.querySelector(at)?.textContent.trim();
    return found !== undefined && (pattern ? new RegExp(...pattern).test(found) : found === plain);
  };
  await page.waitForFunction(look, [selector, String(expected), pattern]).catch(async () => {
    assert.fail(`${selector} says ${JSON.stringify(await text(page, selector))}, not ${expected}`);
  });
}

/** How far the page is wider than its window, in pixels. */
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

/** The texts that are too faint for what they stand on: WCAG 2.2, 1.4.3. */
export const faint = (page) =>
  page.evaluate(() => {
    const parse = (color) => {
      const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
      return [r, g, b, a];
    };
    const over = ([r, g, b, a], below) => [r, g, b].map((part, index) => part * a + below[index] * (1 - a));
    const light = (rgb) => {
      const [r, g, b] = rgb.map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
      if (!element) return [255, 255, 255];
      const box = element.closest('.box');
      const color = box ? getComputedStyle(box.querySelector('.frame')).fill : getComputedStyle(element).backgroundColor;
      const own = parse(color);
      return own[3] === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const shown = walker.currentNode.textContent.trim() !== '' && element.checkVisibility({ opacityProperty: true });
      if (!shown || element.closest('.off, .skip, script, style, noscript')) continue;
      const style = getComputedStyle(element);
      const below = ground(element);
      const [a, b] = [light(over(parse(element.closest('svg') ? style.fill : style.color), below)), light(below)];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
      if (contrast < (large ? 3 : 4.5)) found.push(`${contrast.toFixed(2)}: ${walker.currentNode.textContent.trim().slice(0, 40)}`);
    }
    return found;
  });

/** The public key of MetaMask in Chrome's store: an extension's id, and so its origin, is made of it. */
const METAMASK =
  'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlcgI4VVL4JUvo6hlSgeCZp9mGltZrzFvc2Asqzb1dDGO9baoYOe+QRoh' +
  '27/YyVXugxni480Q/R147INhBOyQZVMhZOD5pFMVutia9MHMaZhgRXzrK3BHtNSkKLL1c5mhutQNwiLqLtFkMSGvka91LoMEC8WT' +
  'I0wi4tACnJ5FyFZQYzvtqy5sXo3VS3gzfOBluLKi7BxYcaUJjNrhOIxl1xL2qgK5lDrDOLKcbaurDiwqofVtAFOL5sM3uJ6D8nOO' +
  '9tG+T7hoobRFN+nxk43PHgCv4poicOv+NMZQEk3da1m/xfuzXV88NcE/YRbRLwAS82m3gsJZKc6mLqm4wZHzBwIDAQAB';

/** Opens a browser with an extension that may ask every site, as wallets do: `body(worker, open)`, both ended in any case. */
export async function withExtension(folder, body) {
  assert.ok(existsSync(BINARY), `no browser at ${BINARY}: install Debian's chromium, or name one in CHROMIUM_BIN`);
  const extension = join(folder, 'extension');
  mkdirSync(extension, { recursive: true });
  const manifest = { manifest_version: 3, name: 'wallet', version: '1', key: METAMASK, host_permissions: ['<all_urls>'] };
  writeFileSync(join(extension, 'manifest.json'), JSON.stringify({ ...manifest, background: { service_worker: 'worker.js' } }));
  writeFileSync(join(extension, 'worker.js'), '');
  const args = ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage', `--load-extension=${extension}`];
  const only = `--disable-extensions-except=${extension}`;
  // Playwright's own headless mode has no extensions.
  const options = { executablePath: BINARY, headless: false, args: [...args, only] };
  const context = await chromium.launchPersistentContext(join(folder, 'profile'), options);
  context.setDefaultTimeout(PATIENCE);
  try {
    const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
    const open = async (url) => {
      const page = await context.newPage();
      await page.goto(url);
      return page;
    };
    await body(worker, open);
  } finally {
    await context.close();
  }
}

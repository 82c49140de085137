// Must show G: the first ten minutes by page alone: sign in, upload, watch; create a stream, push, watch. Its pictures become docs/images (npm run pictures).
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, play, startBrowser, waitUntilPlaying, waitUntilTrue } from '../support/browser.ts';
import { BUNNY, makeLongClip, type Publisher, publish } from '../support/media.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import { createStream } from '../support/story.ts';

const isAble = (await hasChromium()) && (await hasMinio());

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
/** Changes must show within this time without a reload. Unit: ms. */
const CHANGE_LIMIT_MS = 2_000;

let platform: Platform;
let browser: Browser;
let folder: string;
let pictures: string;
let publisher: Publisher | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-first-'));
  pictures = process.env['PICTURES'] ?? join(folder, 'pictures');
  await mkdir(pictures, { recursive: true });
  platform = await startPlatform({ storage: 'minio' });
  browser = await startBrowser();
}, 180_000);

afterAll(async () => {
  await publisher?.stop();
  await browser?.close();
  await platform?.stop();
  await rm(folder, { recursive: true, force: true });
});

const picture = (page: Page, name: string) => page.screenshot({ path: join(pictures, `${name}.png`) });

/** Opens a watch page by following the status page's own link. */
async function follow(page: Page, name: string): Promise<Page> {
  const link = page.getByRole('link', { name: `Watch ${name}` });
  await link.waitFor({ timeout: 60_000 });
  const [opened] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
  return opened;
}

async function onPhone(url: string, name: string): Promise<void> {
  const page = await browser.newPage({ viewport: PHONE, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
  await page.goto(url);
  await play(page);
  await page.tap('video');
  await picture(page, name);
  const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  expect(overflow).toBe(0);
  await page.close();
}

describe.runIf(isAble)('the first ten minutes', () => {
  it('lead from the printed token to a watched upload and a watched live stream', async () => {
    const clip = join(folder, 'Meadow at noon.mp4');
    await makeLongClip(clip, 30, { width: 1280, height: 720 });
    const faults: string[] = [];
    const page = await browser.newPage({ viewport: DESKTOP });
    page.on('pageerror', (error) => faults.push(String(error)));

    await page.goto(platform.api);
    await page.getByLabel('Admin token').fill('admin:a-wrong-secret-of-some-length');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: /token/i }).first().waitFor();
    const token = /Admin token\s+(\S+)/.exec(platform.output())?.[1] ?? '';
    await page.getByLabel('Admin token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Live streams' }).waitFor();

    await page.setInputFiles('#file', [clip, BUNNY]);
    const videoPage = await follow(page, 'Meadow at noon');
    videoPage.on('pageerror', (error) => faults.push(String(error)));
    await play(videoPage);

    await page.getByLabel('Title', { exact: true }).first().fill('Friday concert');
    await page.getByRole('button', { name: 'Create live stream' }).click();
    const server = await page.getByRole('textbox', { name: 'Server' }).inputValue();
    const key = await page.getByRole('textbox', { name: 'Stream key' }).inputValue();
    await picture(page, 'stream-key-desktop');
    publisher = publish(`${server}/${key}`, 'copy');
    const livePage = await follow(page, 'Friday concert');
    livePage.on('pageerror', (error) => faults.push(String(error)));
    await play(livePage);
    await until('the stream shown as live, with a viewer', 30_000, async () =>
      /1 viewer/.test((await page.locator('#streams').textContent()) ?? ''),
    );

    await livePage.mouse.move(600, 400);
    await picture(livePage, 'watch-live-desktop');
    await onPhone(livePage.url(), 'watch-live-phone');
    await until('the upload ready', 120_000, async () =>
      /Ready/i.test((await page.locator('#assets li', { hasText: 'Meadow' }).textContent()) ?? ''),
    );
    await videoPage.bringToFront();
    await videoPage.evaluate(
      "document.querySelector('video').currentTime = 3; document.querySelector('video').play().catch(() => undefined)",
    );
    // The page was opened when the first rendition was ready; it takes up the others by itself.
    await waitUntilTrue(videoPage, 'window.headwater.state().levels.length >= 4', 20_000);
    await waitUntilPlaying(videoPage, 20_000, 1.5);
    await videoPage.mouse.move(600, 400);
    await picture(videoPage, 'watch-video-desktop');
    await onPhone(videoPage.url(), 'watch-video-phone');
    await picture(page, 'status-desktop');
    await page.setViewportSize(PHONE);
    await picture(page, 'status-phone');
    await page.setViewportSize(DESKTOP);
    const home = await browser.newPage({ viewport: DESKTOP });
    await home.goto(platform.edges[1] ?? '');
    await home.getByText('Friday concert').first().waitFor({ timeout: 15_000 });
    await picture(home, 'home-desktop');
    await home.close();

    await livePage.bringToFront();
    await waitUntilPlaying(livePage, 20_000, 2);
    expect(faults).toEqual([]);
    await Promise.all([page, videoPage, livePage].map((item) => item.close()));
  }, 300_000);

  it('show changes within 2 s without a reload', async () => {
    const page = await browser.newPage({ viewport: DESKTOP });
    await page.goto(platform.api);
    await page.getByLabel('Admin token').fill(platform.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Live streams' }).waitFor();
    const rows = await page.locator('#streams li').count();
    await createStream(platform);
    const from = performance.now();
    await until(
      'the new stream on the page',
      CHANGE_LIMIT_MS,
      async () => (await page.locator('#streams li').count()) === rows + 1,
      20,
    );
    expect(performance.now() - from).toBeLessThanOrEqual(CHANGE_LIMIT_MS);
    await page.close();
  }, 60_000);
});

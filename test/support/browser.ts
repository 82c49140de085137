// Real Chromium for end-to-end tests, and what the player page says of itself.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { requirePart } from './parts.ts';

/** Path of the system's Chromium, or null. */
export function findChromium(): string | null {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env['PATH'] ?? '').split(':')) {
      if (folder !== '' && existsSync(join(folder, name))) return join(folder, name);
    }
  }
  return null;
}

/** Whether tests in a browser can run here; says how to get it when not. */
export const hasChromium = (): Promise<boolean> =>
  requirePart('chromium', () => findChromium() !== null, 'apt-get install chromium');

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

/** @throws Error when no Chromium is installed */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === null) throw new Error('chromium is missing: apt-get install chromium');
  return chromium.launch({ executablePath, headless: true, args: ARGS });
}

/** Seconds of media under the play head, or null while there is no video. */
export const currentTime = (page: Page): Promise<number | null> =>
  page.evaluate('document.querySelector("video")?.currentTime ?? null');

/** `window.headwater.state()` of the player page, or null while it is not there. */
export const playerState = (page: Page): Promise<Record<string, unknown> | null> =>
  page.evaluate('window.headwater ? window.headwater.state() : null');

/**
 * Waits until an expression is true on the page. (Not Playwright's own wait: that evaluates text inside the page, which the pages' policy forbids.)
 * @throws Error naming the expression after `limitMs`
 */
export async function waitUntilTrue(page: Page, expression: string, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await page.evaluate(`Boolean(${expression})`))) {
    if (performance.now() > end)
      throw new Error(
        `not true within ${limitMs} ms: ${expression}; player: ${JSON.stringify(await playerState(page))}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until the play head has come past `seconds`. */
export const waitUntilPast = (page: Page, seconds: number, limitMs: number): Promise<void> =>
  waitUntilTrue(page, `document.querySelector('video')?.currentTime > ${seconds}`, limitMs);

/** Waits until the picture moves: the play head has advanced by `seconds`. */
export async function waitUntilPlaying(page: Page, limitMs = 30_000, seconds = 0.5): Promise<void> {
  await waitUntilTrue(page, "document.querySelector('video')?.currentTime > 0", limitMs);
  await waitUntilPast(page, ((await currentTime(page)) ?? 0) + seconds, limitMs);
}

/** Starts the video of a watch page without sound, and waits until it has played for `seconds`. */
export async function play(page: Page, seconds = 1.5): Promise<void> {
  await page.waitForSelector('video', { state: 'attached', timeout: 30_000 });
  await page.evaluate(
    'document.querySelector("video").muted = true, document.querySelector("video").play().catch(() => undefined)',
  );
  await waitUntilPlaying(page, 30_000, seconds);
}

// Shaka Player in Chromium over the manifests that origins write: running, away and back, another writer, the end, the recording.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasChromium, startBrowser } from '../support/browser.ts';
import { type DashPages, playDash, serveDashPages, untilDash } from '../support/dash-page.ts';
import { until } from '../support/platform.ts';
import { type DashOptions, type DashServer, startDashServer } from './origin-dash-rig.ts';
import { RigLive } from './player-live.ts';
import { makeTracks, PART_S, type Track } from './player-media.ts';

let browser: Browser;
let pages: DashPages;
let tracks: Track[];
let live: RigLive;
let server: DashServer | null = null;

beforeAll(async () => {
  [browser, tracks, pages] = await Promise.all([startBrowser(), makeTracks(12), serveDashPages()]);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await pages?.close();
});

afterEach(async () => {
  await server?.close();
  server = null;
});

async function open(manifest: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(pages.address(`${server?.url}/${manifest}`));
  return page;
}

/** A live with some history, and a viewer of it. */
async function watchLive(history: number, options: Partial<DashOptions> = {}): Promise<Page> {
  live = new RigLive({ history, window: 100 });
  live.start();
  server = await startDashServer(tracks, live, { windowS: 60, addressing: 'template', ...options });
  return await open('live.mpd');
}

describe.skipIf(!(await hasChromium()))('in Chromium', () => {
  test.each([{ addressing: 'template' }, { addressing: 'list' }] as const)(
    'a running live from its edge, and on when another worker writes, by $addressing',
    async ({ addressing }) => {
      const page = await watchLive(8, { addressing, writerOf: (msn) => (msn >= 9 ? 1 : 0) });
      const state = await playDash(page, 9, 40_000);
      expect(state.isLive).toBe(true);
      expect(state.end - state.time).toBeLessThan(12);
      expect(server?.manifests).toBeGreaterThanOrEqual(3);
      expect(server?.failed).toEqual([]);
      await page.close();
    },
  );
  test('the publisher goes and comes back, the live ends, the recording plays: over the gap each time, to the end', async () => {
    const page = await watchLive(5);
    const { time: before } = await playDash(page, 1);
    live.set('gap');
    await until(
      'a gap',
      20_000,
      async () => live.segments.filter(({ isGap, isClosed }) => isGap && isClosed).length > 1,
    );
    live.set('live');
    const returned = live.startedAtMs;
    await until(
      'the second epoch',
      20_000,
      async () => live.segments.filter(({ epoch, isClosed }) => epoch === 2 && isClosed).length > 2,
    );
    const second = live.segments.find(({ epoch, isGap }) => epoch === 2 && !isGap);
    const behindS = ((second?.pdtMs ?? 0) - returned) / 1_000;
    expect(behindS).toBeGreaterThan(before);
    await untilDash(page, 'behind the gap', 30_000, ({ time }) => time > behindS + 1);
    live.end();
    await untilDash(page, 'the end', 40_000, ({ isEnded }) => isEnded);
    await page.close();

    const recorded = await open('recorded.mpd');
    const { end, isLive } = await playDash(recorded, 1);
    const playedS = live.segments.filter(({ isGap }) => !isGap).reduce((sum, { count }) => sum + count * PART_S, 0);
    expect(isLive).toBe(false);
    expect(end).toBeCloseTo(playedS, 1);
    const firstS = live.segments
      .filter(({ isGap, epoch }) => !isGap && epoch === 1)
      .reduce((sum, { count }) => sum + count * PART_S, 0);
    await recorded.evaluate(`document.querySelector('video').currentTime = ${firstS - 2}`);
    await untilDash(recorded, 'the end of the recording', 40_000, ({ isEnded }) => isEnded);
    expect(server?.failed).toEqual([]);
    await recorded.close();
  });
});

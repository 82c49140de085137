// Shaka Player in Chromium over the manifests that origins write: running, away and back, another writer, the end, recordings.
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasChromium, startBrowser } from '../support/browser.ts';
import { until } from '../support/platform.ts';
import { type DashOptions, type DashServer, type PlayerState, startDashServer } from './origin-dash-rig.ts';
import { RigLive } from './player-live.ts';
import { makeTracks, type Track } from './player-media.ts';

let browser: Browser;
let tracks: Track[];
let server: DashServer | null = null;
let page: Page | null = null;

beforeAll(async () => {
  [browser, tracks] = await Promise.all([startBrowser(), makeTracks(12)]);
}, 120_000);

afterAll(async () => {
  await browser?.close();
});

afterEach(async () => {
  await page?.close();
  await server?.close();
  page = null;
  server = null;
});

const stateOf = (): Promise<PlayerState | null> =>
  page?.evaluate('window.state ? window.state() : null') ?? Promise.resolve(null);

/** Waits until the player says so. @throws Error with what it says, when it does not or has failed */
async function untilPlayer(what: string, limitMs: number, isSo: (state: PlayerState) => boolean): Promise<PlayerState> {
  let last: PlayerState | null = null;
  const probe = async () => {
    last = await stateOf();
    if (last !== null && last.errors.length > 0) throw new Error('the player failed');
    return last !== null && isSo(last) ? last : null;
  };
  try {
    return await until(what, limitMs, probe);
  } catch (thrown) {
    throw new Error(`${String(thrown)}: ${JSON.stringify(last)}; not served: ${server?.failed.join()}`);
  }
}

/** Waits until the play head, once it moves, has moved on by `seconds`. */
async function playOn(seconds: number, limitMs = 20_000): Promise<PlayerState> {
  const before = (await stateOf())?.time ?? 0;
  const { time } = await untilPlayer('playing', limitMs, (state) => state.height > 0 && state.time > before);
  return await untilPlayer(`${seconds} s more`, limitMs, (state) => state.time > time + seconds);
}

async function open(manifest: string, live: RigLive, options: Partial<DashOptions> = {}): Promise<void> {
  live.start();
  server = await startDashServer(tracks, live, { windowS: 60, addressing: 'template', ...options });
  page = await browser.newPage();
  await page.goto(server.page(manifest));
}

describe.skipIf(!(await hasChromium()))('in Chromium', () => {
  test.each([{ addressing: 'template' }, { addressing: 'list' }] as const)(
    'a running live plays from its edge, by $addressing',
    async ({ addressing }) => {
      await open('live.mpd', new RigLive({ history: 20, window: 100 }), { addressing });
      const state = await playOn(6);
      expect(state.isLive).toBe(true);
      expect(state.end - state.time).toBeLessThan(12);
      expect(server?.failed).toEqual([]);
      expect(server?.manifests).toBeGreaterThanOrEqual(3);
    },
  );
  test('the publisher goes and comes back: playback goes on behind the gap', async () => {
    const live = new RigLive({ history: 10, window: 100 });
    await open('live.mpd', live);
    await playOn(3);
    live.set('gap');
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    const away = await stateOf();
    live.set('live');
    const from = (away?.time ?? 0) + 8;
    await untilPlayer('behind the gap', 30_000, ({ time }) => time > from);
    await playOn(3);
    expect(server?.failed).toEqual([]);
  });
  test.each([{ addressing: 'template' }, { addressing: 'list' }] as const)(
    'another worker goes on within the epoch, by $addressing',
    async ({ addressing }) => {
      const live = new RigLive({ history: 10, window: 100 });
      await open('live.mpd', live, { addressing, writerOf: (msn) => (msn >= 12 ? 1 : 0) });
      await playOn(14, 40_000);
      expect(server?.failed).toEqual([]);
    },
  );
  test('the end of a live: played to its end', async () => {
    const live = new RigLive({ history: 10, window: 100 });
    await open('live.mpd', live);
    await playOn(3);
    live.end();
    await untilPlayer('the end', 40_000, ({ isEnded }) => isEnded);
    expect(server?.failed).toEqual([]);
  });
  test('a recording with a gap and two writers plays from 0 to its end', async () => {
    const live = new RigLive({ history: 2, window: 100 });
    live.set('gap');
    live.start();
    await until('a gap', 10_000, async () => live.segments.length > 3);
    live.set('live');
    await until(
      'the second epoch',
      20_000,
      async () => live.segments.filter((one) => one.epoch === 2 && one.isClosed).length > 2,
    );
    live.end();
    await open('recorded.mpd', live, { writerOf: (msn) => (msn === 1 ? 1 : 0) });
    live.stop();
    const last = await untilPlayer('the end', 40_000, ({ isEnded }) => isEnded);
    expect(last.isLive).toBe(false);
    expect(server?.failed).toEqual([]);
  });
});

// The watch page in a real browser on a low-latency live of our own making: latency, rewinding, gaps, the end, and the bar's keys.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, play, playerState, startBrowser, waitUntilTrue } from '../support/browser.ts';
import { type LiveOptions, RigLive } from './player-live.ts';
import { makeStoryboard, makeTracks, PART_S, PARTS_PER_SEGMENT, type Track } from './player-media.ts';
import { buildPages, PLAYBACK, type PlayerServer, startPlayerServer } from './player-server.ts';

const isAble = await hasChromium();
const STATE = 'window.headwater.state()';
const open: (() => Promise<void>)[] = [];

let browser: Browser;
let pages: string;
let tracks: Track[];

beforeAll(async () => {
  if (!isAble) return;
  [browser, pages, tracks] = await Promise.all([startBrowser(), buildPages(), makeTracks()]);
}, 120_000);

afterAll(async () => {
  for (const close of open) await close();
  await browser?.close();
});

async function serve(options: LiveOptions): Promise<PlayerServer> {
  const live = new RigLive(options);
  live.start();
  const server = await startPlayerServer(pages, tracks, live);
  open.push(() => server.close());
  return server;
}

/** A page with the picture moving, and how often it was loaded. */
async function watch(server: PlayerServer, query = ''): Promise<{ page: Page; loads: () => number }> {
  const page = await browser.newPage();
  let loads = 0;
  page.on('load', () => {
    loads += 1;
  });
  await page.goto(`${server.watch}${query}`);
  await play(page, 1);
  return { page, loads: () => loads };
}

const wait = (page: Page, expression: string, limitMs = 15_000): Promise<void> =>
  waitUntilTrue(page, `((s) => ${expression})(${STATE})`, limitMs);
const number = async (page: Page, name: string): Promise<number> => Number((await playerState(page))?.[name]);
const fatals = async (page: Page): Promise<unknown[]> => {
  const errors = (await playerState(page))?.['errors'] as { fatal: boolean }[] | undefined;
  return (errors ?? []).filter((error) => error.fatal);
};
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe.runIf(isAble)('the watch page on a low-latency live', () => {
  it('plays parts at the distance that the playlist asks for, catching up by speed', async () => {
    const server = await serve({ history: 30, window: 60 });
    const { page } = await watch(server);
    await wait(page, 's.partTarget === 0.35 && s.latency < s.targetLatency + 0.6');
    // A little behind is still live: made good by speed, not by a jump.
    await page.evaluate("document.querySelector('video').currentTime -= 2");
    // In one look: it may have been hurrying before, and hls.js knows its new latency a moment after the seek.
    await wait(page, 's.rate > 1 && s.rate <= 1.2 && s.latency > 2');
    await wait(page, 's.latency < s.targetLatency + 0.6', 20_000);
    expect(await playerState(page)).toMatchObject({ isFollowing: true, reloads: 0 });
    const asked = server.asked.map((request) => request.path);
    expect(asked.some((path) => /\/p\d+\.\d+\./.test(path))).toBe(true);
    expect(asked.some((path) => path.includes('_HLS_part='))).toBe(true);
    expect(asked.some((path) => path.includes('_HLS_skip=YES'))).toBe(true);
    await page.close();
  });

  it('never hurries with ?catchup=1', async () => {
    const server = await serve({ history: 30, window: 60 });
    const { page } = await watch(server, '?catchup=1');
    await wait(page, 's.latency < 4');
    await page.evaluate("document.querySelector('video').currentTime -= 2");
    await sleep(2_000);
    expect(await playerState(page)).toMatchObject({ rate: 1, isFollowing: true });
    await page.close();
  });

  it('leaves a viewer who went back where that is, and takes one to live who asks', async () => {
    const server = await serve({ history: 60, window: 80 });
    const { page } = await watch(server);
    await page.evaluate("document.querySelector('video').currentTime -= 30");
    await sleep(6_000);
    expect(await number(page, 'latency')).toBeGreaterThan(28);
    expect(await playerState(page)).toMatchObject({ isFollowing: false, rate: 1, reloads: 0 });
    await page.getByRole('button', { name: 'Go to live' }).click();
    await wait(page, 's.isFollowing && s.latency < 3 && s.buffered > 0.3');
    await page.close();
  });

  it('takes a viewer whose place left the window to its beginning, not to live', async () => {
    const server = await serve({ history: 14, window: 14 });
    const { page } = await watch(server);
    await page.getByRole('slider', { name: 'Seek' }).press('Home');
    await wait(page, '!s.isFollowing && s.currentTime < s.windowStart + 4');
    const start = await number(page, 'windowStart');
    // Paused, the place goes out of the window; played again, the rest of the buffer plays and then what is there.
    await page.evaluate("document.querySelector('video').pause()");
    await wait(page, `s.windowStart > ${start + 14}`, 30_000);
    await page.evaluate("void document.querySelector('video').play()");
    await wait(page, 's.currentTime > s.windowStart && s.currentTime < s.windowStart + 8', 10_000);
    await wait(page, 's.buffered > 1');
    expect(await playerState(page)).toMatchObject({ isFollowing: false, reloads: 0 });
    expect(await number(page, 'latency')).toBeGreaterThan(12);
    await page.close();
  }, 90_000);

  it('waits for a broadcaster who is away, and plays on by itself', async () => {
    const server = await serve({ history: 40, window: 80 });
    const { page: atEdge, loads } = await watch(server);
    const { page: behind } = await watch(server);
    await behind.evaluate("document.querySelector('video').currentTime -= 6");
    server.live.set('gap');
    const word = atEdge.getByText('The broadcaster is reconnecting');
    await word.waitFor({ state: 'visible', timeout: 10_000 });
    await sleep(10_000);
    // The controls have faded by now; what is said must not.
    expect(await atEdge.evaluate("getComputedStyle(document.querySelector('.away')).opacity")).toBe('1');
    const cutAt = await number(behind, 'currentTime');
    server.live.set('live');
    for (const page of [atEdge, behind]) {
      // Media time goes on through the gap: who plays after it was taken over it.
      await wait(page, `s.currentTime > ${cutAt + 8} && s.buffered > 0.2 && !s.isAway`, 8_000);
      await wait(page, `s.currentTime > ${cutAt + 11}`, 8_000);
      expect(await playerState(page)).toMatchObject({ reloads: 0, isFollowing: true });
      expect(await fatals(page)).toEqual([]);
    }
    await word.waitFor({ state: 'hidden', timeout: 5_000 });
    expect(loads()).toBe(1);
    await atEdge.close();
    await behind.close();
  }, 90_000);

  it('plays through a gap of long ago', async () => {
    const server = await serve({ history: 40, window: 120 });
    server.live.set('gap');
    await sleep(9_000);
    server.live.set('live');
    await sleep(5_000);
    const { page } = await watch(server);
    // Two segments before the gap began, by the playlist's own order.
    await page.evaluate(`document.querySelector('video').currentTime = ${(40 - 2) * PARTS_PER_SEGMENT * PART_S}`);
    const gapEnd = 40 * PARTS_PER_SEGMENT * PART_S + 9;
    await wait(page, `s.currentTime > ${gapEnd} && s.buffered > 0.2`, 20_000);
    expect(await playerState(page)).toMatchObject({ reloads: 0 });
    expect(await fatals(page)).toEqual([]);
    await page.close();
  }, 90_000);

  it('goes on in another rendition when one is dropped, and takes it up again', async () => {
    const server = await serve({ history: 30, window: 60 });
    const { page } = await watch(server);
    await wait(page, 's.height === 180', 30_000);
    server.live.drop(['v180']);
    await wait(page, 's.height === 90', 15_000);
    expect(await page.getByText('The broadcaster is reconnecting').isVisible()).toBe(false);
    const at = await number(page, 'currentTime');
    await wait(page, `s.currentTime > ${at + 3} && !s.isAway`);
    server.live.drop([]);
    await wait(page, 's.height === 180', 40_000);
    expect(await playerState(page)).toMatchObject({ isFollowing: true, reloads: 0 });
    expect(await fatals(page)).toEqual([]);
    await page.close();
  }, 120_000);

  it('says that the live has ended, and offers it from the start', async () => {
    const server = await serve({ history: 30, window: 20 });
    const { page, loads } = await watch(server);
    server.live.end(9_000);
    await page.getByText('The live has ended').waitFor({ state: 'visible', timeout: 20_000 });
    await page.getByRole('button', { name: 'Watch from the start' }).click();
    await wait(page, "s.view === 'replay' && s.currentTime > 1 && s.currentTime < 20");
    expect(await number(page, 'duration')).toBeGreaterThan(30 * PARTS_PER_SEGMENT * PART_S - 1);
    expect(await playerState(page)).toMatchObject({ isLive: false, reloads: 0 });
    expect(loads()).toBe(1);
    await page.close();
  }, 60_000);
});

describe.runIf(isAble)('the player in the hands of a viewer', () => {
  it('has a seek bar for keys and screen readers, and statistics behind a key', async () => {
    const server = await serve({ history: 200, window: 200 });
    const { page } = await watch(server);
    const slider = page.getByRole('slider', { name: 'Seek' });
    expect(await slider.getAttribute('aria-valuetext')).toBe('live');
    await slider.press('PageDown');
    await wait(page, '!s.isFollowing && s.latency > 55 && s.latency < 70');
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/^(1 minute|5\d seconds).* behind live$/);
    await slider.press('End');
    await wait(page, 's.isFollowing && s.latency < 4');
    const panel = page.getByRole('region', { name: 'Playback statistics' });
    await page.keyboard.press('i');
    await panel.waitFor({ state: 'visible' });
    expect(await panel.textContent()).toContain('Deliveryparts of 0.35 s');
    await page.getByRole('button', { name: 'Close statistics' }).click();
    await panel.waitFor({ state: 'hidden' });
    await page.close();
  }, 60_000);

  it('shows pictures of the storyboard over the bar of a video', async () => {
    const live = new RigLive({ history: 20, window: 20 });
    live.end();
    const server = await startPlayerServer(pages, tracks, live);
    open.push(() => server.close());
    const { sheet, vtt } = await makeStoryboard();
    Object.assign(server.info, { kind: 'video', state: 'ready', storyboard: `${PLAYBACK}/storyboard.vtt` });
    server.files.set(`/${PLAYBACK}/storyboard.vtt`, { type: 'text/vtt', body: vtt });
    server.files.set(`/${PLAYBACK}/storyboard-0.jpg`, { type: 'image/jpeg', body: sheet });
    const { page } = await watch(server);
    const box = await page.getByRole('slider', { name: 'Seek' }).boundingBox();
    if (box === null) throw new Error('no seek bar');
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    const picture = page.locator('.seek-picture');
    await picture.waitFor({ state: 'visible' });
    expect(await picture.getAttribute('style')).toContain(`/${PLAYBACK}/storyboard-0.jpg`);
    expect(await page.locator('.seek-time').textContent()).toMatch(/^0:1[89]|0:20$/);
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    await wait(page, 's.currentTime > 17 && s.currentTime < 24 && !s.paused');
    await page.close();
  }, 60_000);
});

// A `low` stream of a whole platform in a real browser: two seconds behind, rewound and left there, the encoder cut off and back, the end and the start again.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, play, playerState, startBrowser, waitUntilTrue } from '../support/browser.ts';
import { makeLongClip, type Publisher, publish } from '../support/media.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import { createStream, waitUntilLive } from '../support/story.ts';
import { tempDir } from '../support/temp.ts';

const isAble = await hasChromium();
const SETTLE_MS = 15_000;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let platform: Platform;
let browser: Browser;
let publisher: Publisher;
let page: Page;
let stream: Awaited<ReturnType<typeof createStream>>;
let clip: string;
let loads = 0;

beforeAll(async () => {
  if (!isAble) return;
  clip = `${await tempDir('low-latency')}/clip.mp4`;
  await makeLongClip(clip, 60, { width: 320, height: 180 }, 30);
  platform = await startPlatform({ storage: 'fs', env: { HEADWATER_TRANSCODERS: '1' } });
  browser = await startBrowser();
  stream = await createStream(platform, 'low');
  publisher = publish(stream.address, 'copy', { clip });
  await waitUntilLive(platform.edges[0] ?? '', stream.playback);
  page = await browser.newPage();
  page.on('load', () => {
    loads += 1;
  });
  await page.goto(`${platform.edges[0] ?? ''}/watch/${stream.playback}`);
  await play(page, 1);
}, 180_000);

afterAll(async () => {
  await publisher?.stop();
  await browser?.close();
  await platform?.stop();
});

const wait = (expression: string, limitMs = 20_000): Promise<void> =>
  waitUntilTrue(page, `((s) => ${expression})(window.headwater.state())`, limitMs);

type Seen = {
  latency: number;
  clockLatency: number;
  stalls: number;
  currentTime: number;
  errors: { fatal: boolean }[];
};
const state = async (): Promise<Seen> => (await playerState(page)) as unknown as Seen;
/** Nothing was loaded anew: neither the page nor the source, and nothing failed for good. */
async function expectUndisturbed(): Promise<void> {
  expect(loads).toBe(1);
  expect(await playerState(page)).toMatchObject({ reloads: 0, view: 'live' });
  expect((await state()).errors.filter((error) => error.fatal)).toEqual([]);
}

describe.runIf(isAble).sequential('a low-latency stream, watched', () => {
  it('plays parts less than 3 s behind, without a stall', async () => {
    await sleep(SETTLE_MS);
    const before = await state();
    expect(await playerState(page)).toMatchObject({ partTarget: 0.35, isFollowing: true, engine: 'hls.js' });
    expect(before.latency).toBeLessThan(3);
    expect(before.clockLatency).toBeLessThan(3);
    await sleep(SETTLE_MS);
    const after = await state();
    expect(after.latency).toBeLessThan(3);
    expect(after.stalls).toBe(before.stalls);
    expect(after.currentTime).toBeGreaterThan(before.currentTime + SETTLE_MS / 1_000 - 1);
    await expectUndisturbed();
  }, 60_000);

  it('stays where the viewer rewound to, and goes to live on demand', async () => {
    await page.evaluate("document.querySelector('video').currentTime -= 15");
    await sleep(8_000);
    expect((await state()).latency).toBeGreaterThan(13);
    expect(await playerState(page)).toMatchObject({ isFollowing: false, rate: 1 });
    await page.getByRole('button', { name: 'Go to live' }).click();
    await wait('s.isFollowing && s.latency < 3 && s.buffered > 0.3');
    await expectUndisturbed();
  }, 60_000);

  it('plays on by itself when the encoder was cut off and is back', async () => {
    await publisher.stop();
    await wait('s.isAway');
    await page.getByText('The broadcaster is reconnecting').waitFor({ state: 'visible', timeout: 15_000 });
    await sleep(5_000);
    const before = (await state()).currentTime;
    publisher = publish(stream.address, 'copy', { clip });
    await wait(`!s.isAway && s.currentTime > ${before + 4} && s.buffered > 0.3`, 30_000);
    await page.getByText('The broadcaster is reconnecting').waitFor({ state: 'hidden', timeout: 10_000 });
    await wait('s.latency < 3.5');
    await expectUndisturbed();
  }, 90_000);

  it('says when it is over, and can be watched from the start at the same address', async () => {
    const answer = await platform.call('PUT', `/video/v1/live-streams/${stream.id}/complete`);
    expect(answer.status).toBeLessThan(300);
    await page.getByText('The live has ended').waitFor({ state: 'visible', timeout: 40_000 });
    await page.getByRole('button', { name: 'Watch from the start' }).click();
    await wait("s.view === 'replay' && s.currentTime > 1 && s.currentTime < 15 && s.duration > 30");
    expect(loads).toBe(1);
  }, 90_000);
});

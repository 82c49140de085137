// Two edges and their viewers: one edge drained by an operator and given back, then killed; with our player, and with hls.js as it comes.
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STEERING_TTL_S } from '../../edge-cache/steering.ts';
import type { Overview } from '../../platform/contract/overview.ts';
import { pathwayIdOf } from '../../platform/contract/steering.ts';
import { EDGE_PENALTY_MS } from '../../player/edges.ts';
import { hasChromium, playerState, startBrowser, waitUntilTrue } from '../support/browser.ts';
import { type LiveWatch, watchLive } from '../support/live-watch.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';

const isAble = await hasChromium();
const HLS = fileURLToPath(new URL('../../node_modules/hls.js/dist/hls.min.js', import.meta.url));
/** Time to live of a steering manifest, and the second or two in which an order comes to the edge and its answer to the page. Unit: ms. */
const TTL_MS = STEERING_TTL_S * 1_000;
const MOVE_MS = TTL_MS + 2_000;
/** A picture that stands still for this long is a stall (player/stalls.ts). Unit: ms. */
const STALL_MS = 350;
const SETTLE_MS = 4_000;

let platform: Platform;
let browser: Browser;
let watch: LiveWatch;
let first: string;
let second: string;

beforeAll(async () => {
  if (!isAble) return;
  platform = await startPlatform({ storage: 'fs' });
  [first = '', second = ''] = platform.edges;
  browser = await startBrowser();
  const stream = { transcode: 'passthrough' };
  watch = await watchLive(platform, browser, { mode: 'low', stream, size: '320:180' });
}, 180_000);

afterAll(async () => {
  await watch?.stop();
  await browser?.close();
  await platform?.stop();
});

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function order(edge: string, verb: 'drain' | 'undrain'): Promise<void> {
  const { body } = await platform.call<{ data: Overview }>('GET', '/ops/v1/overview');
  const node = body.data.nodes.find((item) => item.public_url === edge);
  const { status } = await platform.call('POST', `/ops/v1/edges/${node?.id ?? ''}/${verb}`);
  expect(status).toBe(204);
}

/** @returns how long it took. Unit: ms */
async function movedTo(edge: string, limitMs: number): Promise<number> {
  const from = performance.now();
  await until(`the page is on ${edge}`, limitMs, async () => (await playerState(watch.page))?.['edge'] === edge);
  return performance.now() - from;
}

/** Media and playlists that the page asks for from now on. */
function mediaAsked(): { urls: URL[]; stop(): void } {
  const urls: URL[] = [];
  const note = (request: { url(): string }) => {
    const url = new URL(request.url());
    if (url.pathname.startsWith('/v/')) urls.push(url);
  };
  watch.page.on('request', note);
  return { urls, stop: () => void watch.page.off('request', note) };
}

/** Edges that the page asks in the next seconds. */
async function edgesAsked(): Promise<string[]> {
  const asked = mediaAsked();
  await sleep(SETTLE_MS);
  asked.stop();
  return [...new Set(asked.urls.map((url) => url.origin))];
}

/** A page with hls.js as it comes, on the first edge. */
async function stockPlayer(): Promise<Page> {
  const page = await browser.newPage();
  await page.setContent('<video muted></video>');
  await page.addScriptTag({ path: HLS });
  await page.evaluate(`(() => {
    window.hls = new Hls();
    hls.loadSource('${first}/${watch.playback}.m3u8');
    hls.attachMedia(document.querySelector('video'));
    hls.on(Hls.Events.MANIFEST_PARSED, () => document.querySelector('video').play());
  })()`);
  await waitUntilTrue(page, "document.querySelector('video').currentTime > 1", 30_000);
  return page;
}
const PATHWAYS = `[hls.levels[hls.loadLevel].pathwayId, new URL(hls.levels[hls.loadLevel].uri).origin, new URL(hls.audioTracks[hls.audioTrack].url).origin]`;
const onPathway = (page: Page, id: string, edge: string, limitMs: number) =>
  waitUntilTrue(page, `JSON.stringify(${PATHWAYS}) === '${JSON.stringify([id, edge, edge])}'`, limitMs);

describe.runIf(isAble)('a live stream on two edges', () => {
  it('has one master, which names both', async () => {
    const [one, two] = await Promise.all(
      platform.edges.map(async (edge) => (await fetch(`${edge}/${watch.playback}.m3u8`)).text()),
    );
    expect(one).toContain(`PATHWAY-ID="${pathwayIdOf(first)}"`);
    expect(one).toContain(`PATHWAY-ID="${pathwayIdOf(second)}"`);
    expect(two).toBe(one);
  });

  it('moves to the other edge within one time to live when its edge is drained, and back, without a stall', async () => {
    const stock = await stockPlayer();
    await onPathway(stock, '.', first, 1_000);
    await movedTo(first, 1_000);
    await watch.reset();
    const asked = mediaAsked();

    await order(first, 'drain');
    await movedTo(second, MOVE_MS);
    expect(await edgesAsked()).toEqual([second]);
    await onPathway(stock, pathwayIdOf(second), second, MOVE_MS);

    await order(first, 'undrain');
    await movedTo(first, MOVE_MS);
    expect(await edgesAsked()).toEqual([first]);
    await onPathway(stock, '.', first, MOVE_MS);

    asked.stop();
    // What is held goes on: no playlist is loaded from its beginning.
    const playlists = asked.urls.filter((url) => url.pathname.endsWith('.m3u8'));
    expect(playlists.filter((url) => !url.searchParams.has('_HLS_msn'))).toEqual([]);
    expect(playlists.length).toBeGreaterThan(20);
    const { stallMs, reloads } = await watch.viewed();
    expect(stallMs).toBeLessThan(STALL_MS);
    expect(reloads).toBe(0);
    const at = await stock.evaluate<number>("document.querySelector('video').currentTime");
    await waitUntilTrue(stock, `document.querySelector('video').currentTime > ${at + 1}`, 10_000);
    await stock.close();
  }, 120_000);

  it('leaves a killed edge at once, and comes back to it after its recovery', async () => {
    await movedTo(first, 1_000);
    await watch.reset();
    const { pid } = platform.process('edge-1');
    await platform.kill('edge-1');
    await movedTo(second, 3_000);
    await platform.restored('edge-1', pid, 10_000);
    // The player lets an edge that failed rest before it takes steering's word for it.
    await movedTo(first, EDGE_PENALTY_MS + TTL_MS + 2_000);
    expect(await edgesAsked()).toEqual([first]);
    const { stallMs, reloads } = await watch.viewed();
    expect(stallMs).toBeLessThan(1_000);
    expect(reloads).toBe(0);
    const errors = (await playerState(watch.page))?.['errors'] as { fatal: boolean }[];
    expect(errors.filter((error) => error.fatal)).toEqual([]);
  }, 90_000);
});

// Must show C: a live stream watched through both edges while each origin in turn is killed with -9.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, play, playerState, startBrowser } from '../support/browser.ts';
import { type Publisher, publish } from '../support/media.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import { createStream, fetchMaster, parseMedia, readMetric, sha256, waitUntilLive } from '../support/story.ts';

const isAble = (await hasChromium()) && (await hasMinio());

/** How long the stream is followed before, between and after the kills. Unit: ms. */
const CALM_MS = 6_000;
const RESTORE_LIMIT_MS = 2_000;

let platform: Platform;
let browser: Browser;
let publisher: Publisher;
let playback: string;

beforeAll(async () => {
  platform = await startPlatform({ storage: 'minio' });
  browser = await startBrowser();
  const stream = await createStream(platform);
  playback = stream.playback;
  publisher = publish(stream.address, 'copy');
  await waitUntilLive(platform.edges[1] ?? '', playback);
}, 180_000);

afterAll(async () => {
  await publisher?.stop();
  await browser?.close();
  await platform?.stop();
});

type Seen = { statuses: Map<number, number>; hashes: Map<string, string>; failures: string[]; segments: number };

/** Follows every rendition through one edge like a plain client: one try per request, every segment's bytes hashed. */
function follow(edge: string): { seen: Seen; stop(): Promise<void> } {
  const seen: Seen = { statuses: new Map(), hashes: new Map(), failures: [], segments: 0 };
  let isStopping = false;
  const get = async (url: string): Promise<Buffer | null> => {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      seen.statuses.set(answer.status, (seen.statuses.get(answer.status) ?? 0) + 1);
      if (answer.status !== 200 && answer.status !== 206)
        seen.failures.push(`${answer.status} ${new URL(url).pathname}`);
      return Buffer.from(await answer.arrayBuffer());
    } catch (thrown) {
      seen.failures.push(`${thrown} ${new URL(url).pathname}`);
      return null;
    }
  };
  const rendition = async (playlist: string): Promise<void> => {
    while (!isStopping) {
      const text = await get(playlist);
      if (text) {
        for (const segment of parseMedia(text.toString(), playlist).segments) {
          if (seen.hashes.has(segment.uri) || isStopping) continue;
          const bytes = await get(segment.uri);
          if (bytes) seen.hashes.set(segment.uri, sha256(bytes));
          seen.segments += 1;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  const running = fetchMaster(edge, playback).then((master) =>
    Promise.all(
      [...master.variants.map((variant) => variant.uri), ...(master.audio ? [master.audio] : [])].map(rendition),
    ),
  );
  return {
    seen,
    async stop() {
      isStopping = true;
      await running;
    },
  };
}

async function watch(edge: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${edge}/watch/${playback}`);
  await play(page, 2);
  return page;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every segment as edge 1 serves it has the bytes that edge 2 served. */
async function hashesAgree(seen: Seen): Promise<number> {
  let compared = 0;
  for (const [uri, hash] of [...seen.hashes].slice(-20)) {
    const other = uri.replace(platform.edges[1] ?? '', platform.edges[0] ?? '');
    const answer = await fetch(other);
    if (!answer.ok) continue;
    expect(sha256(Buffer.from(await answer.arrayBuffer()))).toBe(hash);
    compared += 1;
  }
  return compared;
}

describe.runIf(isAble)('a live stream with two origins and two edges', () => {
  it('is not disturbed when each origin in turn is killed', async () => {
    const page = await watch(platform.edges[0] ?? '');
    const client = follow(platform.edges[1] ?? '');
    await sleep(CALM_MS);
    const before = await playerState(page);
    const restored: number[] = [];
    for (const name of ['origin-1', 'origin-2']) {
      const { pid } = platform.process(name);
      // Killed while a request is under way: the follower fetches all the time, so the next new segment is waited for.
      const count = client.seen.segments;
      await until('a fresh segment', 10_000, async () => client.seen.segments > count, 5);
      await platform.kill(name);
      restored.push(await platform.restored(name, pid, 10_000));
      await sleep(CALM_MS);
    }
    await client.stop();
    const after = await playerState(page);

    expect(client.seen.failures).toEqual([]);
    expect([...client.seen.statuses.keys()].every((status) => status === 200 || status === 206)).toBe(true);
    expect(client.seen.segments).toBeGreaterThan(15);
    expect(await hashesAgree(client.seen)).toBeGreaterThan(5);
    expect(after?.['stalls']).toBe(before?.['stalls']);
    expect(Number(after?.['currentTime'])).toBeGreaterThan(Number(before?.['currentTime']) + CALM_MS / 1_000);
    for (const ms of restored) expect(ms).toBeLessThanOrEqual(RESTORE_LIMIT_MS);
    const edges = (await platform.refresh()).processes.filter((item) => item.role === 'edge');
    const retries = await Promise.all(
      edges.map((edge) => readMetric(edge.private_url ?? '', 'headwater_edge_upstream_retries_total')),
    );
    expect(retries.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(0);
    await page.close();
  }, 120_000);
});

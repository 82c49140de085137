// A live stream with a publisher that comes back by itself and a viewer in Chromium: what the viewer saw while something was done to the platform.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { createRedis } from '../../platform/adapters/redis.ts';
import { NodeInfo } from '../../platform/contract/nodes.ts';
import { nodesKey } from '../../platform/contract/redis-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { play, playerState } from './browser.ts';
import { type Publisher, publish } from './media.ts';
import { type Platform, until } from './platform.ts';
import { createStream, fetchMaster, playlistNumbers, waitUntilLive } from './story.ts';

/** What the page's own clock saw since the last reset. */
export type Viewed = {
  /** Longest time in which the play head stood still. Unit: ms. */
  stallMs: number;
  reloads: number;
};
export type LiveWatch = {
  streamId: string;
  playback: string;
  /** The watch page on the first edge. */
  page: Page;
  /** Ends the publisher; it stays away until `publishAgain`. */
  cutPublisher(): Promise<void>;
  publishAgain(): void;
  /** Something else that ends with the publishers. */
  alsoEnds(end: () => Promise<void>): void;
  /** Ends every publisher; none comes back. */
  endPublishers(): Promise<void>;
  /** Forgets what was seen so far. */
  reset(): Promise<void>;
  viewed(): Promise<Viewed>;
  stop(): Promise<void>;
};

/** Measures in the page, every 20 ms: the play head against the page's clock. */
const SAMPLER = `(() => {
  const video = document.querySelector('video');
  const seen = { longest: 0, at: performance.now(), time: video.currentTime };
  window.watchSeen = seen;
  setInterval(() => {
    const now = performance.now();
    if (video.currentTime > seen.time + 0.001 || video.currentTime < seen.time - 0.5) {
      seen.time = video.currentTime;
      seen.at = now;
    }
    seen.longest = Math.max(seen.longest, now - seen.at);
  }, 20);
})()`;

export type LiveWatchOptions = {
  mode?: string;
  /** Further fields of the stream. */
  stream?: Record<string, unknown>;
  size?: string;
  fps?: number;
};

/** As an encoder does: it connects again when its connection is lost, until it is cut off or ended. */
function keepPublishing(start: () => Publisher) {
  let publisher = start();
  let isWanted = true;
  const timer = setInterval(() => {
    const { exitCode, signalCode } = publisher.process;
    if (isWanted && (exitCode !== null || signalCode !== null)) publisher = start();
  }, 250);
  const cut = async () => {
    isWanted = false;
    await publisher.stop();
  };
  return {
    cut,
    again() {
      isWanted = true;
      publisher = start();
    },
    async end() {
      clearInterval(timer);
      await cut();
    },
  };
}

/** Publishes numbered pictures and watches them; resolves when the viewer has played for two seconds. */
export async function watchLive(
  platform: Platform,
  browser: Browser,
  options: LiveWatchOptions = {},
): Promise<LiveWatch> {
  const stream = await createStream(platform, options.mode ?? 'low', options.stream);
  const pictures = { size: options.size ?? '640:360', fps: options.fps ?? 30 };
  const encoder = keepPublishing(() => publish(stream.address, 'numbered', pictures));
  const others: (() => Promise<void>)[] = [];
  const endPublishers = async () => {
    await encoder.end();
    for (const end of others.splice(0)) await end();
  };
  const page = await browser.newPage();
  const stop = async () => {
    await endPublishers();
    await page.close();
  };
  let loads = 0;
  page.on('load', () => {
    loads += 1;
  });
  try {
    const edge = platform.edges[0] ?? '';
    await waitUntilLive(edge, stream.playback);
    await page.goto(`${edge}/watch/${stream.playback}`);
    await play(page, 2);
    await page.evaluate(SAMPLER);
  } catch (thrown) {
    // Else the encoder would come back for ever, beside the next test's.
    await stop();
    throw thrown;
  }
  return {
    streamId: stream.id,
    playback: stream.playback,
    page,
    cutPublisher: encoder.cut,
    publishAgain: encoder.again,
    alsoEnds: (end) => void others.push(end),
    endPublishers,
    reset: () => page.evaluate('window.watchSeen.longest = 0, window.watchSeen.at = performance.now()'),
    async viewed() {
      const longest = await page.evaluate<number>('window.watchSeen.longest');
      const state = await playerState(page);
      return { stallMs: Math.round(longest), reloads: loads - 1 + Number(state?.['reloads'] ?? 0) };
    },
    stop,
  };
}

/** Ends the broadcast and reads every picture of its smallest rendition, as recorded. */
export async function recordedNumbers(
  platform: Platform,
  watch: Pick<LiveWatch, 'streamId' | 'playback'>,
): Promise<number[]> {
  await platform.call('PUT', `/video/v1/live-streams/${watch.streamId}/complete`);
  const edge = platform.edges[1] ?? '';
  const playlist = await until('the end of the broadcast', 30_000, async () => {
    const smallest = (await fetchMaster(edge, watch.playback).catch(() => null))?.variants.at(-1)?.uri;
    const text = smallest === undefined ? '' : await (await fetch(smallest)).text();
    return text.includes('#EXT-X-ENDLIST') ? smallest : null;
  });
  const folder = join(platform.dataDir, `recorded-${watch.streamId}`);
  await mkdir(folder);
  return (await playlistNumbers(playlist, folder)).flat();
}

/** Nodes of a role as the registry has them now. */
export async function readNodes(
  platform: Platform,
  role: 'transcoder' | 'ingest' | 'origin' | 'edge',
): Promise<NodeInfo[]> {
  const redis = createRedis(platform.state().redis_url, silentLogger);
  await redis.start();
  try {
    return Object.values(await redis.client.hGetAll(nodesKey(role))).map((text) => NodeInfo.parse(JSON.parse(text)));
  } finally {
    await redis.close();
  }
}

/** Process of the worker that leads the one broadcast on air. */
export function leadingWorker(platform: Platform, limitMs = 15_000): Promise<{ name: string; pid: number }> {
  return until('a worker that leads', limitMs, async () => {
    const nodes = await readNodes(platform, 'transcoder');
    const { processes } = await platform.refresh();
    const leader = nodes.find((node) => Object.values(node.encodes ?? {}).some((encode) => encode.place === 'leader'));
    const found = processes.find((item) => item.pid === leader?.pid);
    return found === undefined ? null : { name: found.name, pid: found.pid };
  });
}

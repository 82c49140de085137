// Must show D, short form: a publisher and a viewer in Chromium are on throughout; each fault has its measured stall and loss.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, startBrowser } from '../support/browser.ts';
import {
  type LiveWatch,
  type LiveWatchOptions,
  leadingWorker,
  recordedNumbers,
  watchLive,
} from '../support/live-watch.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import { breaksIn } from '../support/story.ts';

const isAble = (await hasChromium()) && (await hasMinio());
/** How long the stream is watched after a fault before it is judged. Unit: ms. */
const AFTER_MS = 9_000;
/** Two small rungs leave room for a browser on two cores. */
const ENV = {
  HEADWATER_TRANSCODERS: '2',
  HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
  HEADWATER_TRANSCODER_LIVE_MAX_RUNGS: '2',
};

let platform: Platform;
let browser: Browser;
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const report = (what: string, figures: unknown) => process.stderr.write(`fault: ${what}: ${JSON.stringify(figures)}\n`);

beforeAll(async () => {
  platform = await startPlatform({ storage: 'minio', env: ENV });
  browser = await startBrowser();
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await platform?.stop();
});

type Outcome = { stallMs: number; reloads: number; errors: number; breaks: number; pictures: number };

/** Watches a new stream, does the fault, watches on, ends the broadcast and decodes what was recorded. */
async function during(
  what: string,
  options: LiveWatchOptions,
  fault: (watch: LiveWatch) => Promise<void>,
): Promise<Outcome> {
  const watch = await watchLive(platform, browser, options);
  try {
    await sleep(2_000);
    await watch.reset();
    await fault(watch);
    await sleep(AFTER_MS);
    const { stallMs, reloads, errors } = await watch.viewed();
    await watch.cutPublisher();
    const numbers = await recordedNumbers(platform, watch);
    const breaks = breaksIn(numbers);
    const outcome = { stallMs, reloads, errors, breaks: breaks.length, pictures: numbers.length };
    report(what, { ...outcome, where: breaks.slice(0, 5) });
    expect(reloads).toBe(0);
    return outcome;
  } finally {
    await watch.stop();
  }
}

describe.runIf(isAble)('a live stream under faults', () => {
  it('goes on within 5 s and without loss when its worker is killed', async () => {
    const outcome = await during('worker killed, standby', {}, async () => {
      const { name } = await leadingWorker(platform);
      await platform.kill(name);
    });
    expect(outcome.stallMs).toBeLessThanOrEqual(5_000);
    expect(outcome.breaks).toBe(0);
  });

  it('goes on within 5 s and without loss when its worker freezes, and refuses it when it wakes', async () => {
    const outcome = await during('worker frozen, standby', {}, async () => {
      const { pid } = await leadingWorker(platform);
      process.kill(pid, 'SIGSTOP');
      await sleep(8_000);
      process.kill(pid, 'SIGCONT');
    });
    expect(outcome.stallMs).toBeLessThanOrEqual(5_000);
    expect(outcome.breaks).toBe(0);
  });

  it('shows nothing of a killed worker with hot redundancy', async () => {
    const outcome = await during('worker killed, hot', { stream: { redundancy: 'hot' } }, async () => {
      await sleep(4_000);
      const { name } = await leadingWorker(platform);
      await platform.kill(name);
    });
    expect(outcome.stallMs).toBeLessThanOrEqual(400);
    expect(outcome.breaks).toBe(0);
  });

  it('waits for a publisher that leaves and comes back', async () => {
    const outcome = await during('publisher cut for 8 s', {}, async (watch) => {
      await watch.cutPublisher();
      await sleep(8_000);
      watch.publishAgain();
    });
    expect(outcome.stallMs).toBeLessThanOrEqual(13_000);
    expect(outcome.breaks).toBe(1);
  });

  it('is not disturbed when an origin is killed', async () => {
    const outcome = await during('origin killed', {}, async () => void (await platform.kill('origin-1')));
    expect(outcome.stallMs).toBeLessThanOrEqual(400);
    expect(outcome.breaks).toBe(0);
  });

  it('goes on when its ingest is killed and the encoder connects again', async () => {
    const outcome = await during('ingest killed', {}, async () => void (await platform.kill('ingest')));
    expect(outcome.stallMs).toBeLessThanOrEqual(8_000);
    // What was on its way in the dead ingest is the declared loss: one place.
    expect(outcome.breaks).toBeLessThanOrEqual(1);
  });

  it('stalls no longer than Redis is away, and a second', async () => {
    let downMs = 0;
    const outcome = await during('Redis killed', {}, async () => {
      const { pid } = platform.process('redis');
      await platform.kill('redis');
      downMs = await platform.restored('redis', pid, 20_000);
    });
    expect(outcome.stallMs).toBeLessThanOrEqual(downMs + 1_000);
    expect(outcome.breaks).toBe(0);
  });

  it('does not stall while the store is away', async () => {
    const outcome = await during('store stopped for 12 s', {}, async () => {
      const { pid } = platform.process('minio');
      process.kill(pid, 'SIGSTOP');
      await sleep(12_000);
      process.kill(pid, 'SIGCONT');
    });
    expect(outcome.stallMs).toBeLessThanOrEqual(400);
    expect(outcome.breaks).toBe(0);
  });
});

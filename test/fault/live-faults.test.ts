// Must show D, short form: a publisher and a viewer in Chromium are on throughout; each fault has its measured stall and loss.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, startBrowser } from '../support/browser.ts';
import { faultsOf, LIVE_FAULTS, runFault } from '../support/live-faults.ts';
import { hasMinio } from '../support/minio.ts';
import { type Platform, startPlatform } from '../support/platform.ts';

const isAble = (await hasChromium()) && (await hasMinio());
const TIMES = { awayMs: 6_000, afterMs: 5_000 };

let platform: Platform;
let browser: Browser;

beforeAll(async () => {
  // Two small rungs leave room for a browser on two cores.
  const env = {
    HEADWATER_TRANSCODERS: '2',
    HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
    HEADWATER_TRANSCODER_LIVE_MAX_RUNGS: '2',
  };
  platform = await startPlatform({ storage: 'minio', env });
  browser = await startBrowser();
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await platform?.stop();
});

describe.runIf(isAble)('a live stream under faults costs viewers no more than is allowed', () => {
  it.each(LIVE_FAULTS)('$name', async (fault) => {
    const outcome = await runFault(platform, browser, fault, TIMES);
    process.stderr.write(`fault: ${JSON.stringify(outcome)}\n`);
    expect(faultsOf(fault, outcome)).toEqual([]);
  });
});

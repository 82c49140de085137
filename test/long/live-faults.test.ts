// Must show D, full form: every fault three times, the store away for 30 s.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBrowser } from '../support/browser.ts';
import { type FaultOutcome, faultsOf, LIVE_FAULTS, runFault } from '../support/live-faults.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import { keepFigures } from './live-figures.ts';

const TIMES = { awayMs: 30_000, afterMs: 10_000 };
const ROUNDS = 3;

let platform: Platform;
let browser: Browser;

beforeAll(async () => {
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

it('every fault stays within its limits, three times over', async () => {
  const outcomes: FaultOutcome[] = [];
  const broken: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const fault of LIVE_FAULTS) {
      const outcome = await runFault(platform, browser, fault, TIMES);
      outcomes.push(outcome);
      process.stderr.write(`fault: ${JSON.stringify(outcome)}\n`);
      broken.push(...faultsOf(fault, outcome).map((text) => `${fault.name}: ${text}`));
    }
  }
  await keepFigures('live-faults', 'test/long/live-faults.test.ts', outcomes);
  expect(broken).toEqual([]);
}, 3_600_000);

// Must show D, short form: a publisher and a viewer in Chromium are on throughout; each fault has its measured stall and loss.
import { describe, expect, it } from 'vitest';
import { hasChromium } from '../support/browser.ts';
import { FAULT_PLATFORM, faultsOf, LIVE_FAULTS, runFault } from '../support/live-faults.ts';
import { hasMinio } from '../support/minio.ts';
import { browserPerFile, platformPerFile } from '../support/once-per-file.ts';

const isAble = (await hasChromium()) && (await hasMinio());
const TIMES = { awayMs: 6_000, afterMs: 5_000 };

const platform = platformPerFile(FAULT_PLATFORM);
const browser = browserPerFile();

describe.runIf(isAble)('a live stream under faults costs viewers no more than is allowed', () => {
  it.each(LIVE_FAULTS)('$name', async (fault) => {
    const outcome = await runFault(platform(), browser(), fault, TIMES);
    process.stderr.write(`fault: ${JSON.stringify(outcome)}\n`);
    expect(faultsOf(fault, outcome)).toEqual([]);
  });
});

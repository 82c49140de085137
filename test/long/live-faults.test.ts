// Must show D, full form: every fault three times, the store away for 30 s.
import { expect, it } from 'vitest';
import { FAULT_PLATFORM, type FaultOutcome, faultsOf, LIVE_FAULTS, runFault } from '../support/live-faults.ts';
import { browserPerFile, platformPerFile } from '../support/once-per-file.ts';
import { keepFigures } from './live-figures.ts';

const TIMES = { awayMs: 30_000, afterMs: 10_000 };
const ROUNDS = 3;

const platform = platformPerFile(FAULT_PLATFORM);
const browser = browserPerFile();

it('every fault stays within its limits, three times over', async () => {
  const outcomes: FaultOutcome[] = [];
  const broken: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const fault of LIVE_FAULTS) {
      const outcome = await runFault(platform(), browser(), fault, TIMES);
      outcomes.push(outcome);
      process.stderr.write(`fault: ${JSON.stringify(outcome)}\n`);
      broken.push(...faultsOf(fault, outcome).map((text) => `${fault.name}: ${text}`));
    }
  }
  await keepFigures('live-faults', 'test/long/live-faults.test.ts', outcomes);
  expect(broken).toEqual([]);
}, 3_600_000);

// Must show G, short form: 20 pass-through streams of 1 Mbit/s beside 2 transcoded ones.
import { expect, it } from 'vitest';
import { MANY_STREAMS_PLATFORM, runManyStreams } from '../support/many-streams.ts';
import { platformPerFile } from '../support/once-per-file.ts';

const SECONDS = 20;

const platform = platformPerFile(MANY_STREAMS_PLATFORM);

it('20 pass-through streams and 2 transcoded ones are all on time, and nobody is refused', async () => {
  const seen = await runManyStreams(platform(), { passthrough: 20, transcoded: 2, seconds: SECONDS, mode: 'default' });
  const worst = Math.max(...seen.map((one) => one.longestGapTargets));
  process.stderr.write(`many streams: longest time between two parts ${worst.toFixed(2)} part targets\n`);
  expect(seen.length).toBe(22);
  for (const one of seen) {
    expect(one.refused).toBe(0);
    expect(one.late).toBe(0);
    expect(one.parts).toBeGreaterThan(SECONDS * 1.5);
  }
}, 240_000);

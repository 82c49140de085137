// Must show G, full form: 20 pass-through streams and 4 small transcoded ones for five minutes.
import { expect, it } from 'vitest';
import { MANY_STREAMS_PLATFORM, runManyStreams } from '../support/many-streams.ts';
import { platformPerFile } from '../support/once-per-file.ts';
import { keepFigures } from './live-figures.ts';

const SECONDS = 300;

const platform = platformPerFile(MANY_STREAMS_PLATFORM);

it('20 pass-through streams and 4 transcoded ones are on time for five minutes', async () => {
  const seen = await runManyStreams(platform(), { passthrough: 20, transcoded: 4, seconds: SECONDS, mode: 'default' });
  await keepFigures('many-streams', 'test/long/many-streams.test.ts', seen);
  expect(seen.length).toBe(24);
  for (const one of seen) {
    expect(one.refused).toBe(0);
    expect(one.late).toBe(0);
    expect(one.parts).toBeGreaterThan(SECONDS * 1.8);
  }
}, 1_200_000);

// Must show B, full form: three minutes of every latency mode and frame rate, with and without sound and with sound alone.
import { expect, it } from 'vitest';
import { allLawCases, judgeCases, type LawResult, lawPlatform, violationsOf } from '../support/law-matrix.ts';
import { platformPerFile } from '../support/once-per-file.ts';
import { keepFigures } from './live-figures.ts';

const SECONDS = 180;
const AT_ONCE = 9;

const platform = platformPerFile(lawPlatform(AT_ONCE));

it('live playlists of every kind keep every rule for three minutes', async () => {
  const cases = allLawCases();
  const results: LawResult[] = [];
  for (let at = 0; at < cases.length; at += AT_ONCE) {
    results.push(...(await judgeCases(platform(), cases.slice(at, at + AT_ONCE), SECONDS)));
  }
  await keepFigures('live-playlists', 'test/long/live-playlists.test.ts', results);
  expect(violationsOf(results)).toEqual([]);
}, 3_000_000);

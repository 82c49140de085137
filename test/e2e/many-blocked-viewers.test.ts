// Must show C, short form: 500 blocked low-latency viewers on two edges behind plain round robin; what reaches the origins is counted between them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BlockedViewersResult, watchBlocked } from '../support/blocked-viewers.ts';
import { type Publisher, publish } from '../support/media.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import { type RequestCounter, startRequestCounter } from '../support/request-counter.ts';
import { createStream, waitUntilLive } from '../support/story.ts';

const VIEWERS = 500;
const SECONDS = 20;
/** Of the profile `default`. */
const PART_S = 0.5;

let counters: RequestCounter[];
let platform: Platform;
let publisher: Publisher;
let playback: string;

beforeAll(async () => {
  counters = [await startRequestCounter(), await startRequestCounter()];
  platform = await startPlatform({
    storage: 'fs',
    env: {
      HEADWATER_ORIGINS: counters.map((counter) => counter.url).join(','),
      HEADWATER_TRANSCODERS: '1',
      HEADWATER_TRANSCODER_LIVE_MAX_RUNGS: '1',
      HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
    },
  });
  const origins = platform.state().processes.filter((item) => item.role === 'origin');
  counters.forEach((counter, index) => {
    counter.target = origins[index]?.url ?? '';
  });
  const stream = await createStream(platform);
  playback = stream.playback;
  publisher = publish(stream.address, 'numbered', { size: '320:180' });
  await waitUntilLive(platform.edges[0] ?? '', playback);
}, 180_000);

afterAll(async () => {
  await publisher?.stop();
  await platform?.stop();
  for (const counter of counters ?? []) await counter.close();
});

describe('500 blocked viewers on two edges', () => {
  it('reach the origins as one request per part and playlist of each edge, without a 404 or 5xx', async () => {
    const result = await watchBlocked(platform.edges, counters, playback, { viewers: VIEWERS, seconds: SECONDS });
    expectOnePerKey(result);
  }, 180_000);
});

function expectOnePerKey(result: BlockedViewersResult): void {
  expect(result.failures).toEqual([]);
  expect(result.askedAgain).toEqual([]);
  expect(result.upstreamFailures).toEqual([]);
  // Everybody watched all the time. How fast is measured elsewhere: this machine may have other things to do.
  expect(result.fewestParts).toBeGreaterThan((result.seconds / PART_S) * 0.5);
  expect(result.upstream).toBeLessThan(result.playlists / 20);
}

// Must show C, short form: 500 blocked low-latency viewers on two edges behind plain round robin; what reaches the origins is counted between them.
import { describe, expect, it } from 'vitest';
import { startBlockedWorld, watchBlocked } from '../support/blocked-viewers.ts';
import { oncePerFile } from '../support/once-per-file.ts';

const VIEWERS = 500;
const SECONDS = 20;

const world = oncePerFile(startBlockedWorld, (started) => started.stop(), 180_000);

describe('500 blocked viewers on two edges', () => {
  it('reach the origins as one request per part and playlist of each edge, without a 404 or 5xx', async () => {
    const result = await watchBlocked(world(), { viewers: VIEWERS, seconds: SECONDS });
    expect(result.failures).toEqual([]);
    expect(result.askedAgain).toEqual([]);
    expect(result.upstreamFailures).toEqual([]);
    expect(result.differing).toEqual([]);
    // Everybody watched all the time: two parts a second. How fast is measured elsewhere; this machine may have other things to do.
    expect(result.parts / VIEWERS / 2).toBeGreaterThan(SECONDS);
    expect(result.upstream).toBeLessThan(result.playlists / 20);
  }, 180_000);
});

// Must show E, short form: rewinding, the asset after the end, and every picture once and in order for two independent readers.
import { describe, expect, it } from 'vitest';
import { hasChromium } from '../support/browser.ts';
import { browserPerFile, platformPerFile } from '../support/once-per-file.ts';
import { runWholeBroadcast } from '../support/whole-broadcast.ts';

const isAble = await hasChromium();
const SECONDS = 30;

const platform = platformPerFile({ storage: 'fs', env: { HEADWATER_TRANSCODERS: '1' } });
const browser = browserPerFile();

describe.runIf(isAble)('a broadcast from its first picture to its recording', () => {
  it('can be rewound, becomes an asset within 5 s, and loses no picture', async () => {
    const seen = await runWholeBroadcast(platform(), browser(), SECONDS, SECONDS);
    expect(seen.endToAssetMs).toBeLessThanOrEqual(5_000);
    expect(seen.liveBreaks).toBe(0);
    expect(seen.assetBreaks).toBe(0);
    expect(seen.isSame).toBe(true);
    expect(seen.livePictures).toBeGreaterThan((SECONDS - 3) * 30);
    expect(seen.rewoundS).toBeGreaterThan(SECONDS / 2);
    expect(Math.abs(seen.assetDurationS - seen.assetPictures / 30)).toBeLessThan(0.2);
  }, 180_000);
});

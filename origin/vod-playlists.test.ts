// Playlists of stored renditions: read once, cut to a clip, addressed from where the playlist stands.
import { expect, test } from 'vitest';
import type { AssetId } from '../platform/contract/ids.ts';
import { assetOf, renditionIndexOf, storedOf, video360, WRITER } from '../test/support/timelines.ts';
import { createVodPlaylists } from './vod-playlists.ts';

function build() {
  const reads: string[] = [];
  const vod = createVodPlaylists({
    async read(key) {
      reads.push(key);
      return { body: Buffer.from(JSON.stringify(renditionIndexOf(video360))) } as never;
    },
  });
  return { vod, reads };
}
const stored = storedOf(video360);
const addresses = (text: string): string[] => text.split('\n').filter((line) => line.endsWith('.m4s'));

test('the table is read once; text and table agree', async () => {
  const { vod, reads } = build();
  const text = await vod.media(assetOf(), stored);
  expect(await vod.media(assetOf(), stored)).toBe(text);
  expect((await vod.table(assetOf(), stored)).segments).toHaveLength(3);
  expect(reads).toHaveLength(1);
  expect(addresses(text)).toEqual([0, 1, 2].map((msn) => `1/s${msn}.${WRITER}.m4s`));
});

test('a clip: its range, from its own address to the source’s objects, over the same table', async () => {
  const { vod, reads } = build();
  const whole = await vod.media(assetOf(), stored);
  const clip = assetOf({ id: 'clip0000000000000001' as AssetId, range: { from_msn: 1, to_msn: 1 } });
  const text = await vod.media(clip, stored);
  expect(addresses(text)).toEqual([`../../${clip.content_id}/v360/1/s1.${WRITER}.m4s`]);
  expect(text).toContain(`#EXT-X-MAP:URI="../../${clip.content_id}/v360/1/init.mp4"`);
  expect((await vod.table(clip, stored)).segments.map(({ msn }) => msn)).toEqual([1]);
  expect(await vod.media(assetOf(), stored)).toBe(whole);
  expect(reads).toHaveLength(1);
});

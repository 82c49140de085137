// What the choice of an origin goes by reaches it from the viewer's request, also for a part that is fetched ahead.
import { expect, it } from 'vitest';
import { CONTENT_ID, edgeWorld, whole } from '../test/support/edge-world.ts';

it('the viewer’s address comes with the request, and with the part that its playlist hints at', async () => {
  const hint = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/p5.1.writer.m4s"\n';
  const world = edgeWorld(({ kind }) =>
    kind === 'part'
      ? whole(404, {})
      : whole(200, { 'cache-control': 'max-age=1', 'headwater-position': '1.5.0' }, hint),
  );
  await world.get(`/v/-/${CONTENT_ID}/v720/index.m3u8`);
  expect(world.asked.map(({ kind, client }) => [kind, client])).toEqual([
    ['media-playlist', '192.0.2.1'],
    ['part', '192.0.2.1'],
  ]);
});

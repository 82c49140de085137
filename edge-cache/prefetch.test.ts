// Which hints are followed, how often, and how many at a time.
import { describe, expect, it } from 'vitest';
import { parseViewerPath, type ViewerRoute } from '../platform/contract/routes.ts';
import { CONTENT_ID, edgeWorld, whole } from '../test/support/edge-world.ts';
import { hintedPart, isFinished, targetDurationS } from './preload-hint.ts';

type MediaPlaylistRoute = Extract<ViewerRoute, { kind: 'media-playlist' }>;
const PATH = `/v/-/${CONTENT_ID}/v720/index.m3u8`;
const ROUTE = parseViewerPath(PATH) as MediaPlaylistRoute;
const HINT = '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/p7.3.writer.m4s"';
const playlist = (...lines: string[]) => Buffer.from(`#EXTM3U\n#EXT-X-TARGETDURATION:4\n${lines.join('\n')}\n`);
const live = { 'cache-control': 'public, max-age=1', 'headwater-position': '1.7.2' };

describe('a hint', () => {
  it.each([
    ['names a part of the same rendition', HINT, { kind: 'part', epoch: 1, msn: 7, part: 3, writer: 'writer' }],
    ['may have its attributes in any order', '#EXT-X-PRELOAD-HINT:URI="1/p7.3.writer.m4s",TYPE=PART', { msn: 7 }],
    ['of another kind is none', '#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="1/init.mp4"', null],
    ['of a whole segment is none', '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/s7.writer.m4s"', null],
    ['of a gap is none', '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/p7.3.none.m4s"', null],
    ['without an address is none', '#EXT-X-PRELOAD-HINT:TYPE=PART', null],
    ['that leads elsewhere is none', '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="http://elsewhere/1/p7.3.writer.m4s"', null],
    ['that climbs is none', '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="../v720/1/p7.3.writer.m4s"', null],
    ['there is not in every playlist', '#EXT-X-PART:DURATION=0.5,URI="1/p7.3.writer.m4s"', null],
  ])('%s', (_name, line, expected) => {
    const found = hintedPart(ROUTE, playlist('#EXT-X-PART:DURATION=0.5,URI="1/p7.2.writer.m4s"', line));
    if (expected === null) expect(found).toBeNull();
    else expect(found).toMatchObject({ ...expected, content: CONTENT_ID, rendition: 'v720' });
  });

  it('stands beside the target duration and the end', () => {
    expect(targetDurationS(playlist(HINT))).toBe(4);
    expect(targetDurationS(Buffer.from('#EXTM3U\n'))).toBeNull();
    expect(targetDurationS(Buffer.from('#EXTM3U\n#EXT-X-TARGETDURATION:x\n'))).toBeNull();
    expect(isFinished(playlist(HINT))).toBe(false);
    expect(isFinished(playlist(HINT, '#EXT-X-ENDLIST'))).toBe(true);
  });
});

/** Origins whose parts come when the test says. */
function hintedWorld(lines: string[] = [HINT]) {
  const comes: ((status: number) => void)[] = [];
  const world = edgeWorld((request) => {
    if (request.kind !== 'part') return whole(200, live, playlist(...lines).toString());
    return new Promise((resolve) => {
      comes.push((status) => resolve(whole(status, { 'cache-control': 'public, max-age=60' }, 'part')));
    });
  });
  const parts = () => world.asked.filter(({ kind }) => kind === 'part').map(({ path }) => path);
  return { world, comes, parts };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a hinted part', () => {
  it('is asked for once however many playlists name it, and kept', async () => {
    const { world, comes, parts } = hintedWorld();
    for (const query of ['', '?_HLS_skip=YES', '?_HLS_msn=7&_HLS_part=2']) await world.get(PATH + query);
    expect(parts()).toEqual([`/v/-/${CONTENT_ID}/v720/1/p7.3.writer.m4s`]);
    for (const come of comes) come(200);
    await settled();
    await world.get(`${PATH}?_HLS_msn=7&_HLS_part=2&_HLS_skip=YES`);
    expect(parts()).toHaveLength(1);
    expect(world.prefetched).toEqual(['arrived']);
    expect((await world.get(parts()[0] ?? '')).result).toBe('hit');
  });

  it('that is gone is forgotten, and asked for again by the next playlist that names it', async () => {
    const { world, comes, parts } = hintedWorld();
    await world.get(PATH);
    for (const come of comes.splice(0)) come(404);
    await settled();
    expect(world.prefetched).toEqual(['missing']);
    world.pass(1_000);
    await world.get(PATH);
    expect(parts()).toHaveLength(2);
    for (const come of comes.splice(0)) come(200);
    await settled();
    expect(world.prefetched).toEqual(['missing', 'arrived']);
  });

  it('of a finished playlist is not asked for', async () => {
    const { world, parts } = hintedWorld([HINT, '#EXT-X-ENDLIST']);
    await world.get(PATH);
    expect(parts()).toEqual([]);
  });

  it('is none of a thousand others at most', async () => {
    const { world, comes } = hintedWorld();
    for (let i = 0; i < 1_003; i += 1) await world.get(`/v/-/Content${String(i).padStart(13, '0')}/v720/index.m3u8`);
    expect(world.asked.filter(({ kind }) => kind === 'part')).toHaveLength(1_000);
    expect(world.prefetched).toEqual(['skipped', 'skipped', 'skipped']);
    for (const come of comes) come(200);
  });

  it('carries the request id of the viewer whose playlist named it', async () => {
    const { world } = hintedWorld();
    await world.get(PATH, { 'x-request-id': 'viewer-request' });
    expect(world.asked.map(({ requestId }) => requestId)).toEqual(['viewer-request', 'viewer-request']);
  });
});

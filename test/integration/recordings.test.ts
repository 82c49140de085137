// Recordings and clips over two real origins: a broadcast's own blocks and objects in a store, whose Redis has forgotten it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AssetId, contentOf, newId, type WriterTag } from '../../platform/contract/ids.ts';
import {
  imageKey,
  initKey,
  livePictureKey,
  renditionIndexKey,
  segmentKey,
} from '../../platform/contract/object-keys.ts';
import { readMpd } from '../support/mpd.ts';
import { until } from '../support/platform.ts';
import {
  assetOf,
  audio0,
  entriesOf,
  epochOf,
  renditionIndexOf,
  storedOf,
  video360,
  WRITER,
} from '../support/timelines.ts';
import {
  append,
  clipOf,
  endedBroadcast,
  get,
  getOne,
  hold,
  makeAsset,
  makeBroadcast,
  named,
  play,
  put,
  recordingOf,
  records,
  startWorld,
  stopWorld,
  storeBlock,
  storeObjects,
  untilStatus,
} from './recordings-rig.ts';

beforeAll(startWorld);
afterAll(stopWorld);

test('a recording plays every segment of every epoch, no gap, from the blocks alone', async () => {
  const live = await endedBroadcast();
  const { playback } = await makeAsset(live.content, recordingOf(live));
  const played = await play(playback);
  expect(played.map(({ rendition }) => rendition).sort()).toEqual(['a0', 'v180', 'v360']);
  const low = named(played, 'v180');
  expect(low.lines).toHaveLength(40);
  expect([low.lines[0], low.lines[34], low.lines[35], low.lines[39]]).toEqual([
    'v180 1 0',
    'v180 1 34',
    'v180 2 40',
    'v180 2 44',
  ]);
  expect(low.playlist.segments.map((one) => one.discontinuity === true).indexOf(true)).toBe(35);
  expect(low.playlist).toMatchObject({ playlistType: 'VOD', endlist: true, targetDuration: 2 });
  // The height that the second epoch does not have: gaps there, at the same places.
  const high = named(played, 'v360');
  expect(high.lines.slice(33)).toEqual(['v360 1 33', 'v360 1 34', ...Array(5).fill('gap')]);
  expect(named(played, 'a0').lines).toHaveLength(40);
});

test('a clip plays its range only, over the edge of a block; a height that is not in it is not offered', async () => {
  const live = await endedBroadcast();
  const inFirst = await play((await makeAsset(live.content, clipOf(live, 28, 31))).playback);
  expect(named(inFirst, 'v360').lines).toEqual([28, 29, 30, 31].map((msn) => `v360 1 ${msn}`));
  const over = await play((await makeAsset(live.content, clipOf(live, 33, 41))).playback);
  expect(named(over, 'v180').lines).toEqual(['v180 1 33', 'v180 1 34', 'v180 2 40', 'v180 2 41']);
  const inSecond = await play((await makeAsset(live.content, clipOf(live, 41, 43))).playback);
  expect(inSecond.map(({ rendition }) => rendition).sort()).toEqual(['a0', 'v180']);
});

test('a clip of a running live whose tail is in no block yet; one from the future waits', async () => {
  const live = await makeBroadcast({ epochs: [epochOf(1, 0)] });
  const entries = entriesOf(1, 0, 36);
  await storeBlock(
    live.content,
    entries.filter(({ msn }) => msn < 30),
  );
  await append(
    live.content,
    entries.filter(({ msn }) => msn >= 25),
  );
  await storeObjects(live.content, entries);
  const played = await play((await makeAsset(live.content, clipOf(live, 27, 34))).playback);
  expect(named(played, 'v360').lines).toEqual([27, 28, 29, 30, 31, 32, 33, 34].map((msn) => `v360 1 ${msn}`));
  const early = await makeAsset(live.content, clipOf(live, 30, 99));
  const refused = await get(`/${early.playback}.m3u8`);
  expect([refused.status, refused.headers.get('headwater-scope')]).toEqual([503, 'stream']);
  const whole = await makeAsset(live.content, recordingOf(live));
  expect((await get(`/${whole.playback}.m3u8`)).status).toBe(503);
});

test('the stream goes and its recording plays on; with the last holder the objects are gone too', async () => {
  const live = await endedBroadcast();
  const { asset, playback } = await makeAsset(live.content, recordingOf(live));
  await hold(live.content, [live.id, asset.id]);
  expect((await get(`/${live.playback}.m3u8`)).status).toBe(200);
  await records.update('stream', live.streamId, (stream) => ({ ...stream, status: 'deleting' }));
  await untilStatus(`/${live.playback}.m3u8`, 404);
  expect(named(await play(playback), 'v180').lines).toHaveLength(40);
  await records.update('asset', asset.id, (record) => ({ ...record, status: 'deleting' }));
  await untilStatus(`/v/-/${live.content}/v180/1/init.mp4`, 404);
});

test('a clip of an upload: its own playlist, the upload’s objects; it outlives the upload', async () => {
  const id = newId<AssetId>();
  const content = contentOf(id);
  const renditions = [storedOf(video360), storedOf(audio0)];
  const source = { planned: [], renditions, range: null, images_writer: WRITER };
  await records.create('asset', assetOf({ id, content_id: content, playback_ids: [], ...source }));
  for (const info of [video360, audio0]) {
    await put(renditionIndexKey(content, info.name, WRITER), JSON.stringify(renditionIndexOf(info)));
    await put(initKey({ content, rendition: info.name, epoch: 1 }), 'init');
    for (const msn of [0, 1, 2]) {
      await put(segmentKey({ content, rendition: info.name, epoch: 1, msn, writer: WRITER }), `${info.name} ${msn}`);
    }
  }
  const clip = await makeAsset(content, {
    renditions,
    images_writer: WRITER,
    range: { from_msn: 1, to_msn: 2 },
    source: {
      type: 'clip',
      playback_id: null,
      asset_id: id,
      broadcast_id: null,
      wanted: { start: 7, end: 9 },
      real: { start: 6, end: 15 },
    },
  });
  await hold(content, [id, clip.asset.id]);
  await records.update('asset', id, (record) => ({ ...record, status: 'deleting' }));
  await untilStatus(`/v/-/${content}/v360/index.m3u8`, 404);
  const played = await play(clip.playback);
  expect(named(played, 'v360').lines).toEqual(['v360 1', 'v360 2']);
  const mpd = readMpd((await get(`/${clip.playback}.mpd`)).text);
  expect(mpd.attributes['mediaPresentationDuration']).toBe('PT9S');
  await put(imageKey(content, 'poster.jpg', WRITER), 'a picture');
  expect((await get(`/${clip.playback}/poster.jpg`)).text).toBe('a picture');
  expect((await get(`/${clip.playback}/storyboard.vtt`)).status).toBe(404);
});

test('DASH: recording, ended stream and running live name only objects that are there', async () => {
  const ended = await endedBroadcast();
  const recording = await makeAsset(ended.content, recordingOf(ended));
  const running = await makeBroadcast({ epochs: [epochOf(1, 0)] });
  const entries = entriesOf(1, 0, 9);
  await append(running.content, entries);
  await storeObjects(running.content, entries);
  const expected = [
    { playback: ended.playback, type: 'static', cache: 'public, max-age=1', segments: 40, periods: 2 },
    { playback: recording.playback, type: 'static', cache: 'public, max-age=5', segments: 40, periods: 2 },
    { playback: running.playback, type: 'dynamic', cache: 'public, max-age=1', segments: 10, periods: 1 },
  ];
  for (const { playback, type, cache, segments, periods } of expected) {
    // Half a second after an end that stays one.
    const answer = await until(`${type} manifest`, 5_000, async () => {
      const given = await getOne(`/${playback}.mpd`);
      return given.text.includes(`type="${type}"`) ? given : null;
    });
    expect([answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
      'application/dash+xml',
      cache,
    ]);
    const mpd = readMpd(answer.text);
    expect([mpd.type, mpd.periods.length]).toEqual([type, periods]);
    const representations = mpd.periods.flatMap(({ sets }) => sets.flatMap((set) => set.representations));
    const uris = representations.flatMap(({ init, segments: all }) => [init, ...all.map(({ uri }) => uri)]);
    const missing = async (uri: string) => ((await getOne(`/${uri}`)).status === 200 ? [] : [uri]);
    expect((await Promise.all([...new Set(uris)].map(missing))).flat()).toEqual([]);
    const audio = representations.filter(({ id }) => id === 'a0').flatMap((one) => one.segments);
    expect(audio).toHaveLength(segments);
  }
});

test('pictures: of a running live the newest, of a clip the one at its start, of a recording poster and storyboard', async () => {
  const live = await endedBroadcast();
  for (const msn of [0, 5, 10, 30, 40]) await put(livePictureKey(live.content, msn), `picture ${msn}`);
  await put(imageKey(live.content, 'poster.jpg', 'live' as WriterTag), 'the poster');
  await put(imageKey(live.content, 'storyboard-0.jpg', 'live' as WriterTag), 'the sheet');
  const cue = (at: string, to: string, x: number) =>
    `00:00:${at}.000 --> 00:00:${to}.000\nstoryboard-0.jpg#xywh=${x},0,160,90`;
  const vtt = `WEBVTT\n\n${cue('00', '10', 0)}\n\n${cue('10', '20', 160)}\n\n${cue('20', '59', 320)}\n`;
  await put(imageKey(live.content, 'storyboard.vtt', 'live' as WriterTag), vtt);
  const recording = (await makeAsset(live.content, recordingOf(live))).playback;
  expect((await get(`/${recording}/poster.jpg`)).text).toBe('the poster');
  expect((await get(`/${recording}/storyboard-0.jpg`)).text).toBe('the sheet');
  const whole = await get(`/${recording}/storyboard.vtt`);
  expect([whole.text, whole.headers.get('content-type')]).toEqual([vtt, 'text/vtt; charset=utf-8']);
  const info = JSON.parse((await get(`/${recording}.json`)).text);
  expect(info).toMatchObject({
    state: 'ready',
    storyboard: `/${recording}/storyboard.vtt`,
    poster: `/${recording}/poster.jpg`,
  });

  const clip = (await makeAsset(live.content, clipOf(live, 7, 12))).playback;
  expect((await get(`/${clip}/thumbnail.jpg`)).text).toBe('picture 10');
  // Numbers 7 to 12 are the seconds 14 to 26.
  expect((await get(`/${clip}/storyboard.vtt`)).text).toBe(
    `WEBVTT\n\n${cue('00', '06', 160)}\n\n${cue('06', '12', 320)}\n`,
  );
  const short = (await makeAsset(live.content, clipOf(live, 41, 42))).playback;
  expect((await get(`/${short}/thumbnail.jpg`)).text).toBe('picture 40');
  const bare = (await makeAsset(live.content, clipOf(live, 21, 22))).playback;
  expect((await get(`/${bare}/thumbnail.jpg`)).text).toBe('the poster');

  const running = await makeBroadcast({ epochs: [epochOf(1, 0)] });
  await append(running.content, entriesOf(1, 0, 16));
  expect((await get(`/${running.playback}/thumbnail.jpg`)).status).toBe(404);
  await put(livePictureKey(running.content, 10), 'picture 10');
  const newest = await get(`/${running.playback}/thumbnail.jpg`);
  expect([newest.text, newest.headers.get('cache-control')]).toEqual(['picture 10', 'public, max-age=5']);
  expect((await get(`/${running.playback}/storyboard.vtt`)).status).toBe(404);
  const early = (await makeAsset(running.content, clipOf(running, 10, 12))).playback;
  expect((await get(`/${early}/storyboard.vtt`)).status).toBe(404);
  expect((await get(`/${early}/thumbnail.jpg`)).text).toBe('picture 10');
});

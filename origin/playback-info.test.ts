// What is playable of an asset or broadcast, as tables.
import { expect, test } from 'vitest';
import type { WriterTag } from '../platform/contract/ids.ts';
import type { PlaybackState } from '../platform/contract/playback.ts';
import type { RenditionInfo } from '../platform/contract/records.ts';
import {
  A0,
  assetOf,
  audio0,
  BROADCAST,
  broadcastOf,
  epochOf,
  STREAM,
  storedOf,
  streamOf,
  V360,
  V720,
  VIDEO_PLAYBACK,
  video360,
} from '../test/support/timelines.ts';
import {
  assetInfo,
  assetState,
  broadcastRenditions,
  broadcastState,
  isRecorded,
  playableRenditions,
  streamInfo,
} from './playback-info.ts';

const video = storedOf(video360);
const audio = storedOf(audio0);

test.each([
  ['ready', [V360, A0], [video, audio], 2],
  ['preparing', [], [], null],
  ['preparing', [V720, V360, A0], [video], null],
  ['preparing', [V720, V360, A0], [audio], null],
  ['preparing', [V720, V360, A0], [video, audio], 2],
  ['preparing', [V720, V360], [video], 1],
  ['preparing', [A0], [audio], 1],
  ['errored', [V360, A0], [video, audio], null],
  ['deleting', [V360, A0], [video, audio], null],
] as const)('%s, planned %j: playable %#', (status, planned, renditions, expected) => {
  const asset = assetOf({ status, planned: [...planned], renditions: [...renditions] });
  expect(playableRenditions(asset)?.length ?? null).toBe(expected);
  expect(assetState(asset)).toBe(expected !== null ? 'ready' : status === 'preparing' ? 'preparing' : 'errored');
});

test.each([
  ['live', true, 'live'],
  ['live', false, 'waiting'],
  ['ending', true, 'live'],
  ['ended', true, 'ended'],
  ['ended', false, 'ended'],
] as const)('a broadcast that is %s, segments %s: %s', (status, hasSegments, expected) => {
  expect(broadcastState(broadcastOf({ status }), hasSegments)).toBe(expected);
});

test('a stream that never broadcast waits, with no start', () => {
  expect(broadcastState(null, false)).toBe('waiting');
  const shown = { stream: streamOf(), windowS: 14_400 };
  expect(streamInfo(VIDEO_PLAYBACK, { ...shown, broadcast: null, state: 'waiting' }).started_at).toBeNull();
  const live = streamInfo(VIDEO_PLAYBACK, { ...shown, broadcast: broadcastOf(), state: 'live' });
  expect(live.started_at).toBe(1_700_000_000_000);
});

test.each([
  [null, null, 14_400],
  [null, 600, 600],
  [7_200, 600, 7_200],
])('broadcast window %s, stream window %s: %s s', (ofBroadcast, ofStream, expected) => {
  const broadcast = broadcastOf({ dvr_window_s: ofBroadcast });
  const stream = streamOf({ dvr_window_s: ofStream });
  expect(streamInfo(VIDEO_PLAYBACK, { stream, broadcast, state: 'live', windowS: 14_400 }).dvr_window_s).toBe(expected);
});

test('away while live without a publisher', () => {
  const shown = { stream: streamOf(), windowS: 14_400 };
  const isAway = (ingest: null | undefined, state: 'live' | 'ended') => {
    const broadcast = broadcastOf(ingest === null ? { ingest } : {});
    return streamInfo(VIDEO_PLAYBACK, { ...shown, broadcast, state }).is_away;
  };
  expect([isAway(undefined, 'live'), isAway(null, 'live'), isAway(null, 'ended')]).toEqual([false, true, false]);
});

test('a live master lists the renditions of the newest epoch that has any', () => {
  const epochs = [epochOf(1, 0), epochOf(2, 5, [audio0]), epochOf(3, 9, [])];
  expect(broadcastRenditions(broadcastOf({ epochs })).map((one) => one.name)).toEqual([A0]);
  expect(broadcastRenditions(broadcastOf({ epochs: [] }))).toEqual([]);
});

test('an asset without pictures has no poster', () => {
  expect(assetInfo(VIDEO_PLAYBACK, assetOf({ images_writer: null })).poster).toBeNull();
});

const live = { type: 'live', stream_id: STREAM, broadcast_id: BROADCAST } as const;
const clip = {
  type: 'clip',
  playback_id: null,
  asset_id: null,
  broadcast_id: BROADCAST,
  wanted: { start: 0, end: 1 },
  real: { start: 0, end: 2 },
} as const;
const PICTURES = 'live' as WriterTag;

test.each([
  {
    name: 'a recording',
    changes: { source: live, renditions: [], images_writer: PICTURES },
    recorded: true,
    poster: true,
    storyboard: true,
  },
  {
    name: 'a recording of sound alone',
    changes: { source: live, renditions: [], images_writer: null },
    recorded: true,
    poster: false,
    storyboard: false,
  },
  {
    name: 'a clip of a running live',
    changes: { source: clip, renditions: [], images_writer: null },
    recorded: true,
    poster: true,
    storyboard: false,
  },
  {
    name: 'a clip of a recording',
    changes: { source: clip, renditions: [], images_writer: PICTURES },
    recorded: true,
    poster: true,
    storyboard: true,
  },
  {
    name: 'a clip of an upload',
    changes: { source: { ...clip, broadcast_id: null } },
    recorded: false,
    poster: true,
    storyboard: false,
  },
  { name: 'an upload', changes: {}, recorded: false, poster: true, storyboard: false },
])('$name: ready, with the pictures that there are', ({ changes, recorded, poster, storyboard }) => {
  const asset = assetOf(changes);
  expect(isRecorded(asset)).toBe(recorded);
  const info = assetInfo(VIDEO_PLAYBACK, asset);
  expect([info.state, info.poster !== null, info.storyboard !== null]).toEqual(['ready', poster, storyboard]);
  expect(assetInfo(VIDEO_PLAYBACK, { ...asset, status: 'errored' }).state).toBe('errored');
});

test('a running stream with a picture has its thumbnail for a poster; sound alone, and one that waits, have none', () => {
  const poster = (state: PlaybackState, renditions: RenditionInfo[]) => {
    const broadcast = broadcastOf({ epochs: [epochOf(1, 0, renditions)] });
    return streamInfo(VIDEO_PLAYBACK, { stream: streamOf(), broadcast, state, windowS: 60 }).poster;
  };
  expect(poster('live', [video360, audio0])).toBe(`/${VIDEO_PLAYBACK}/thumbnail.jpg`);
  expect(poster('live', [audio0])).toBeNull();
  expect(poster('waiting', [video360])).toBeNull();
});

// Manifests by what a playback id shows, over literal windows and tables.
import { expect, test } from 'vitest';
import type { AssetId } from '../platform/contract/ids.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import { recordedRenditions, recordedSegments } from '../platform/hls/recording.ts';
import { readMpd } from '../test/support/mpd.ts';
import {
  assetOf,
  BROADCAST,
  broadcastOf,
  entriesOf,
  epochOf,
  renditionIndexOf,
  STREAM,
  streamOf,
} from '../test/support/timelines.ts';
import { createDash } from './dash.ts';
import { LiveWindow } from './live-window.ts';
import type { Shown } from './playback.ts';

function build(broadcast: BroadcastRecord = broadcastOf()) {
  const world = { now: 1_700_000_100_000, monotonic: 0, isCutOff: false, broadcast };
  const window = new LiveWindow(broadcast, 120, () => world.monotonic);
  const hear = (epoch: number, from: number, to: number) =>
    window.hear((timeline) => timeline.accept(entriesOf(epoch, from, to)));
  const dash = createDash({
    directory: { broadcastNow: async () => world.broadcast },
    windows: { open: async () => window, isCutOff: () => world.isCutOff },
    recordings: {
      async open() {
        const segments = recordedSegments(window.timeline.segments(), world.broadcast.epochs);
        return { broadcast: world.broadcast, segments, renditions: recordedRenditions(segments) };
      },
      media: async () => '',
    },
    vod: { media: async () => '', table: async (_asset, stored) => renditionIndexOf(stored) },
    now: () => world.now,
  });
  const shown = (changes: Partial<BroadcastRecord> | null = {}): Shown => ({
    kind: 'stream',
    policy: 'public',
    stream: streamOf(),
    broadcast: changes && { ...broadcast, ...changes },
  });
  return { world, window, hear, dash, shown };
}

test('a running broadcast: of its window, with the time of the answer', async () => {
  const { world, hear, dash, shown } = build();
  hear(1, 0, 9);
  const first = await dash.manifest(shown());
  expect(first).toMatchObject({ kind: 'live', policy: 'public' });
  const mpd = readMpd(first.text);
  expect([mpd.type, mpd.utc, mpd.attributes['timeShiftBufferDepth']]).toEqual([
    'dynamic',
    '2023-11-14T22:15:00.000Z',
    'PT120S',
  ]);
  world.now += 700;
  expect(readMpd((await dash.manifest(shown())).text).utc).toBe('2023-11-14T22:15:00.700Z');
  hear(1, 10, 10);
  const segments = readMpd((await dash.manifest(shown())).text).periods[0]?.sets[0]?.representations[0]?.segments;
  expect(segments).toHaveLength(11);
});

test('an epoch that the record held here does not name: it is read anew', async () => {
  const { world, hear, dash, shown } = build();
  hear(1, 0, 3);
  hear(2, 4, 5);
  world.broadcast = broadcastOf({ epochs: [epochOf(1, 0), { ...epochOf(2, 4), ts0: 8_000 }] });
  expect(readMpd((await dash.manifest(shown())).text).periods.map(({ id }) => id)).toEqual(['1', '2']);
});

test('after the end the manifest becomes static, half a second later', async () => {
  const { world, hear, dash, shown } = build();
  hear(1, 0, 9);
  const over = { status: 'ended', ingest: null } as const;
  world.broadcast = { ...world.broadcast, ...over };
  expect(readMpd((await dash.manifest(shown(over))).text).type).toBe('dynamic');
  world.monotonic = 600;
  expect(readMpd((await dash.manifest(shown(over))).text).type).toBe('static');
});

test('two workers at once: an address for each segment', async () => {
  const { hear, dash, shown } = build(broadcastOf({ redundancy: 'hot' }));
  hear(1, 0, 9);
  expect((await dash.manifest(shown())).text).toContain('<SegmentURL');
});

test.each([
  { name: 'a stream never on the air', changes: null, state: 'waiting' },
  { name: 'no epoch yet', changes: { epochs: [] }, state: 'waiting' },
  { name: 'no segment yet', changes: {}, state: 'waiting' },
  { name: 'ended with nothing', changes: { status: 'ended' }, state: 'ended' },
] as const)('$name: not playable', async ({ changes, state }) => {
  const { dash, shown } = build();
  await expect(dash.manifest(shown(changes as Partial<BroadcastRecord> | null))).rejects.toMatchObject({ state });
});

test('an origin that has lost sight of the broadcast says so', async () => {
  const { world, hear, dash, shown } = build();
  hear(1, 0, 9);
  world.isCutOff = true;
  await expect(dash.manifest(shown())).rejects.toMatchObject({ code: 'ORIGIN_STREAM_STALE' });
});

test('assets: an upload from its tables, a recording from its segments, neither before it is ready', async () => {
  const { hear, dash } = build();
  hear(1, 0, 9);
  const upload = assetOf();
  const answer = await dash.manifest({ kind: 'asset', policy: 'public', asset: upload });
  expect([answer.kind, readMpd(answer.text).attributes['mediaPresentationDuration']]).toEqual(['video', 'PT15S']);
  const asset = assetOf({
    id: 'recording00000000001' as AssetId,
    renditions: [],
    source: { type: 'live', stream_id: STREAM, broadcast_id: BROADCAST },
  });
  const recorded = await dash.manifest({ kind: 'asset', policy: 'public', asset });
  expect(readMpd(recorded.text).attributes['mediaPresentationDuration']).toBe('PT20S');
  for (const status of ['preparing', 'errored'] as const) {
    const shown: Shown = { kind: 'asset', policy: 'public', asset: { ...upload, renditions: [], status } };
    await expect(dash.manifest(shown)).rejects.toMatchObject({ state: status });
  }
});

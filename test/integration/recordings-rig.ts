// What the tests of recordings need: two real origins over one store and one Redis, broadcasts written as workers write them, a plain player.
import * as hls from 'hls-parser';
import { expect } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import type { ObjectStorage } from '../../platform/adapters/storage.ts';
import { createTimelineWriter, type TimelineWriter } from '../../platform/adapters/timeline-store.ts';
import {
  type AssetId,
  type BroadcastId,
  type ContentId,
  contentOf,
  newId,
  type PlaybackId,
  type StreamId,
  type WriterTag,
} from '../../platform/contract/ids.ts';
import { indexBlockKey, initKey, type ObjectKey, segmentKey } from '../../platform/contract/object-keys.ts';
import type { AssetRecord, BroadcastRecord, RenditionInfo } from '../../platform/contract/records.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { until } from '../support/platform.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { tempDir } from '../support/temp.ts';
import {
  assetOf,
  audio0,
  blockOf,
  broadcastOf,
  epochOf,
  pdtOf,
  segmentEntries,
  streamOf,
  video360,
} from '../support/timelines.ts';
import { type RunningOrigin, startOrigin } from './origin-rig.ts';

let redis: TestRedis;
let storage: ObjectStorage;
let connection: RedisConnection;
export let records: Records;
let timeline: TimelineWriter;
const origins: RunningOrigin[] = [];

/** Redis, a store, two origins over them. For beforeAll. */
export async function startWorld(): Promise<void> {
  redis = await startRedis();
  const settings = {
    STORAGE: 'fs',
    DATA_DIR: await tempDir('recordings'),
    S3_ENDPOINT: null,
    S3_REGION: '',
    S3_BUCKET: '',
    S3_ACCESS_KEY: null,
    S3_SECRET_KEY: null,
  } as const;
  storage = openStorage(settings, silentLogger);
  connection = createRedis(redis.url, silentLogger);
  await connection.start();
  records = createRecords(storage, connection, silentLogger);
  await records.ensureIndex();
  timeline = createTimelineWriter(connection);
  for (let index = 0; index < 2; index += 1) origins.push(await startOrigin(redis.url, settings));
}

/** For afterAll. */
export async function stopWorld(): Promise<void> {
  for (const origin of origins) await origin.close();
  await connection?.close();
  await storage?.close();
  await redis?.stop();
}

/** Stores a small object. */
export const put = async (key: ObjectKey, text: string): Promise<void> => {
  const body = Buffer.from(text);
  await storage.put(key, body, { bytes: body.byteLength, contentType: 'application/octet-stream' });
};

export type Answer = { status: number; text: string; headers: Headers };

/** The answer of the first origin. */
export async function getOne(path: string, index = 0): Promise<Answer> {
  const answer = await origins[index]?.get(path);
  if (answer === undefined) throw new Error('no such origin');
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

/** The answer of either origin; they must agree. */
export async function get(path: string): Promise<Answer> {
  const [first, second] = await Promise.all([getOne(path, 0), getOne(path, 1)]);
  expect(second.status).toBe(first.status);
  if (first.status < 400) expect(second.text).toBe(first.text);
  return first;
}

const video180: RenditionInfo = { ...video360, name: 'v180' as never, height: 180, width: 320, bandwidth: 300_000 };
const isMedia = (entry: TimelineEntry): boolean => !entry.gap;

/** Stores the objects that entries name; each says what it is: `v360 1 7`. */
export async function storeObjects(content: ContentId, entries: readonly TimelineEntry[]): Promise<void> {
  for (const { epoch, msn, renditions, last } of entries.filter(isMedia)) {
    for (const [name, part] of Object.entries(renditions)) {
      const rendition = name as RenditionInfo['name'];
      await put(initKey({ content, rendition, epoch }), `init ${name} ${epoch}`);
      if (last && part.segment !== undefined) {
        await put(
          segmentKey({ content, rendition, epoch, msn, writer: part.segment.writer }),
          `${name} ${epoch} ${msn}`,
        );
      }
    }
  }
}

/** Stores the index block over entries of one epoch. */
export async function storeBlock(content: ContentId, entries: readonly TimelineEntry[]): Promise<void> {
  const block = blockOf(entries);
  await put(indexBlockKey(content, block.epoch, block.first_msn), JSON.stringify(block));
}

/** A broadcast with its stream. */
export type Live = { id: BroadcastId; content: ContentId; streamId: StreamId; playback: PlaybackId };

export async function makeBroadcast(changes: Partial<BroadcastRecord>): Promise<Live> {
  const id = newId<BroadcastId>();
  const live: Live = { id, content: contentOf(id), streamId: newId<StreamId>(), playback: newId<PlaybackId>() };
  await records.create(
    'broadcast',
    broadcastOf({ id, content_id: live.content, stream_id: live.streamId, ...changes }),
  );
  const playbackIds = [{ id: live.playback, policy: 'public' }] as const;
  await records.create('stream', streamOf({ id: live.streamId, broadcast_id: id, playback_ids: [...playbackIds] }));
  return live;
}

export type Shown = { asset: AssetRecord; playback: PlaybackId };

/** Names entries in Redis, as a worker does. */
export async function append(content: ContentId, entries: readonly TimelineEntry[]): Promise<void> {
  await timeline.seed(content, 1, []);
  for (const entry of entries) await timeline.append(content, entry);
}

/** Who holds a content. */
export async function hold(id: ContentId, holders: (AssetId | BroadcastId)[]): Promise<void> {
  await records.create('content', { version: 1, id, status: 'kept', created_at: 0, updated_at: 0, holders });
}

/** Waits until both origins answer this status; records may be a second old. */
export const untilStatus = (path: string, status: number): Promise<boolean> =>
  until(`${path} ${status}`, 5_000, async () => {
    const answers = await Promise.all(origins.map((origin) => origin.get(path)));
    return answers.every((answer) => answer.status === status);
  });

/** A ready asset over a content, with one public playback id. */
export async function makeAsset(content: ContentId, changes: Partial<AssetRecord>): Promise<Shown> {
  const id = newId<AssetId>();
  const playback = newId<PlaybackId>();
  const own: Partial<AssetRecord> = {
    planned: [],
    renditions: [],
    images_writer: 'live' as WriterTag,
    content_id: content,
  };
  const asset = assetOf({ id, playback_ids: [{ id: playback, policy: 'public' }], ...own, ...changes });
  await records.create('asset', asset);
  return { asset, playback };
}

export const recordingOf = (live: Live): Partial<AssetRecord> => ({
  source: { type: 'live', stream_id: live.streamId, broadcast_id: live.id },
});
export const clipOf = (live: Live, from: number, to: number): Partial<AssetRecord> => ({
  source: {
    type: 'clip',
    playback_id: live.playback,
    asset_id: null,
    broadcast_id: live.id,
    wanted: { start: 0, end: 0 },
    real: { start: 0, end: 0 },
  },
  range: { from_msn: from, to_msn: to },
  images_writer: null,
});

/**
 * A broadcast that has ended: epoch 1 with two heights, numbers 0 to 34 in two blocks, a gap to 39, then epoch 2 with one, 40 to 44.
 * Redis knows nothing of it.
 */
export async function endedBroadcast(): Promise<Live> {
  const both = [video360, video180, audio0];
  const live = await makeBroadcast({
    status: 'ended',
    ingest: null,
    ended_at: pdtOf(45),
    epochs: [epochOf(1, 0, both), { ...epochOf(2, 40, [video180, audio0]), ts0: 80_000 }],
  });
  const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_none, index) => from + index);
  const first = numbers(0, 34).flatMap((msn) => segmentEntries({ epoch: 1, msn, renditions: both }));
  const gaps = numbers(35, 39).flatMap((msn) => segmentEntries({ epoch: 1, msn, gap: true, renditions: [] }));
  const second = numbers(40, 44).flatMap((msn) => segmentEntries({ epoch: 2, msn, renditions: [video180, audio0] }));
  await storeBlock(
    live.content,
    first.filter(({ msn }) => msn < 30),
  );
  await storeBlock(live.content, [...first.filter(({ msn }) => msn >= 30), ...gaps]);
  await storeBlock(live.content, second);
  await storeObjects(live.content, [...first, ...second]);
  return live;
}

/** `lines`: what the objects of a rendition say, or `gap`. */
export type Played = { rendition: string; lines: string[]; playlist: hls.types.MediaPlaylist };

/** Reads the master, every media playlist behind it, and every object they name. */
export async function play(playback: PlaybackId): Promise<Played[]> {
  const address = `/${playback}.m3u8`;
  const master = hls.parse((await get(address)).text);
  if (!master.isMasterPlaylist) throw new Error('no master');
  const audio = master.variants[0]?.audio[0]?.uri ?? '';
  const played: Played[] = [];
  for (const uri of [...master.variants.map((variant) => variant.uri), audio].filter((one) => one !== '')) {
    const path = new URL(uri, `http://origin${address}`).pathname;
    const answer = await get(path);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'public, max-age=30']);
    const playlist = hls.parse(answer.text);
    if (playlist.isMasterPlaylist) throw new Error('a master');
    const at = (to: string | undefined) => new URL(to ?? '', `http://origin${path}`).pathname;
    for (const init of new Set(playlist.segments.filter(({ gap }) => !gap).map(({ map }) => at(map?.uri)))) {
      expect([init, (await get(init)).status]).toEqual([init, 200]);
    }
    const read = async ({ gap, uri: to }: hls.types.Segment): Promise<string> => {
      if (gap) return 'gap';
      const { status, text } = await get(at(to));
      expect([to, status]).toEqual([to, 200]);
      return text;
    };
    const lines = await Promise.all(playlist.segments.map(read));
    played.push({ rendition: path.split('/').at(-2) ?? '', lines, playlist });
  }
  return played;
}
export const named = (played: Played[], rendition: string): Played => {
  const found = played.find((one) => one.rendition === rendition);
  if (found === undefined) throw new Error(`no ${rendition}`);
  return found;
};

// What the tests of recordings need: two real origins over one store and one Redis, broadcasts written as workers write them, a plain player.
import type * as hls from 'hls-parser';
import { expect } from 'vitest';
import type { Records } from '../../platform/adapters/records.ts';
import { type AssetId, type BroadcastId, type ContentId, newId, type PlaybackId } from '../../platform/contract/ids.ts';
import { initKey, LIVE_PICTURES, type ObjectKey, segmentKey } from '../../platform/contract/object-keys.ts';
import type { AssetRecord, BroadcastRecord, RenditionInfo } from '../../platform/contract/records.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { until } from '../support/platform.ts';
import { readMaster, readMedia } from '../support/playlist-parsers.ts';
import { assetOf, audio0, epochOf, pdtOf, segmentEntries, video360 } from '../support/timelines.ts';
import { type Live, type OriginWorld, startOriginWorld } from './origin-rig.ts';

let world: OriginWorld;
export let records: Records;

/** Redis, a store, two origins over them. For beforeAll. */
export async function startWorld(): Promise<void> {
  world = await startOriginWorld('recordings');
  ({ records } = world);
}

/** For afterAll. */
export const stopWorld = async (): Promise<void> => world?.close();

export const makeBroadcast = (changes: Partial<BroadcastRecord>): Promise<Live> => world.makeBroadcast(changes);
/** Names entries in Redis, as a worker does. */
export const append = (content: ContentId, entries: readonly TimelineEntry[]): Promise<void> =>
  world.append(content, entries);

/** Stores a small object. */
export const put = (key: ObjectKey, text: string): Promise<void> => world.put(key, text);
/** Stores the index block over entries of one epoch. */
export const storeBlock = (content: ContentId, entries: readonly TimelineEntry[]): Promise<void> =>
  world.storeBlock(content, entries);

export type Answer = { status: number; text: string; headers: Headers };

/** The answer of the first origin. */
export async function getOne(path: string, index = 0): Promise<Answer> {
  const answer = await world.originAt(index).get(path);
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

export type Shown = { asset: AssetRecord; playback: PlaybackId };

/** Who holds a content. */
export async function hold(id: ContentId, holders: (AssetId | BroadcastId)[]): Promise<void> {
  await records.create('content', { version: 1, id, status: 'kept', created_at: 0, updated_at: 0, holders });
}

/** Waits until both origins answer this status; records may be a second old. */
export const untilStatus = (path: string, status: number): Promise<boolean> =>
  until(`${path} ${status}`, 5_000, async () => {
    const answers = await Promise.all(world.origins.map((origin) => origin.get(path)));
    return answers.every((answer) => answer.status === status);
  });

/** A ready asset over a content, with one public playback id. */
export async function makeAsset(content: ContentId, changes: Partial<AssetRecord>): Promise<Shown> {
  const id = newId<AssetId>();
  const playback = newId<PlaybackId>();
  const own: Partial<AssetRecord> = {
    planned: [],
    renditions: [],
    images_writer: LIVE_PICTURES,
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
  const { other: master } = readMaster((await get(address)).text);
  const audio = master.variants[0]?.audio[0]?.uri ?? '';
  const played: Played[] = [];
  for (const uri of [...master.variants.map((variant) => variant.uri), audio].filter((one) => one !== '')) {
    const path = new URL(uri, `http://origin${address}`).pathname;
    const answer = await get(path);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'public, max-age=30']);
    const { other: playlist } = readMedia(answer.text);
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

// The directory of playback ids over literal records: what is kept, for how long, and what an event undoes.
import { expect, test } from 'vitest';
import type { AssetId, ContentId, PlaybackId } from '../platform/contract/ids.ts';
import type { RecordKind } from '../platform/contract/object-keys.ts';
import { AppError } from '../platform/runtime/errors.ts';
import {
  ASSET,
  assetOf,
  BROADCAST,
  broadcastOf,
  LIVE_CONTENT,
  LIVE_PLAYBACK,
  SIGNED_PLAYBACK,
  STREAM,
  streamOf,
  VIDEO_PLAYBACK,
} from '../test/support/timelines.ts';
import { createPlaybackDirectory } from './playback.ts';

function build() {
  const world = {
    now: 0,
    isAway: false,
    reads: [] as string[],
    records: { asset: assetOf(), stream: streamOf(), broadcast: broadcastOf(), upload: null } as Record<
      RecordKind,
      unknown
    >,
  };
  const away = () => new AppError('AWAY', 'away', { source: 'upstream', retryable: true });
  const directory = createPlaybackDirectory(
    {
      async get(kind, id) {
        world.reads.push(`${kind}:${id}`);
        if (world.isAway) throw away();
        const value = world.records[kind] as { id: string } | null;
        return value?.id === id ? ({ value, etag: '1' } as never) : null;
      },
      async playback(id) {
        world.reads.push(`playback:${id}`);
        if (world.isAway) throw away();
        if (id === LIVE_PLAYBACK) return { kind: 'stream', id: STREAM, policy: 'public' };
        return id === VIDEO_PLAYBACK ? { kind: 'asset', id: ASSET, policy: 'public' } : null;
      },
    },
    () => world.now,
  );
  return { world, directory };
}

test('a playback id leads to its record, read once a second', async () => {
  const { world, directory } = build();
  expect(await directory.playback(VIDEO_PLAYBACK)).toMatchObject({ kind: 'asset', policy: 'public' });
  expect(await directory.playback(LIVE_PLAYBACK)).toMatchObject({ kind: 'stream', broadcast: { id: BROADCAST } });
  const reads = world.reads.length;
  world.now = 900;
  await directory.playback(VIDEO_PLAYBACK);
  await directory.playback(LIVE_PLAYBACK);
  expect(world.reads).toHaveLength(reads);
  world.now = 1_100;
  await directory.playback(VIDEO_PLAYBACK);
  expect(world.reads.length).toBeGreaterThan(reads);
});

test('an id that nobody knows is asked for once a second too', async () => {
  const { world, directory } = build();
  const unknown = 'unknownPlayback0001' as PlaybackId;
  for (let round = 0; round < 5; round += 1) expect(await directory.playback(unknown)).toBeNull();
  expect(world.reads).toEqual([`playback:${unknown}`]);
});

test('an event makes a change seen at once', async () => {
  const { world, directory } = build();
  await directory.playback(VIDEO_PLAYBACK);
  world.records.asset = assetOf({ title: 'renamed' });
  expect(await directory.playback(VIDEO_PLAYBACK)).toMatchObject({ asset: { title: 'A test video' } });
  directory.heed({ type: 'asset', id: ASSET });
  expect(await directory.playback(VIDEO_PLAYBACK)).toMatchObject({ asset: { title: 'renamed' } });
});

test('with store and Redis away the last known records stand in', async () => {
  const { world, directory } = build();
  await directory.playback(LIVE_PLAYBACK);
  await directory.content(LIVE_CONTENT);
  world.isAway = true;
  world.now = 30_000;
  expect(await directory.playback(LIVE_PLAYBACK)).toMatchObject({ kind: 'stream' });
  expect(await directory.content(LIVE_CONTENT)).toMatchObject({ kind: 'broadcast' });
  await expect(directory.playback(VIDEO_PLAYBACK)).rejects.toThrow('away');
});

test('content belongs to a broadcast or an asset; public when any of its playback ids is', async () => {
  const { world, directory } = build();
  const both = [
    { id: SIGNED_PLAYBACK, policy: 'signed' },
    { id: VIDEO_PLAYBACK, policy: 'public' },
  ] as const;
  world.records.asset = assetOf({ playback_ids: [...both] });
  expect(await directory.content(String(ASSET) as ContentId)).toMatchObject({ kind: 'asset', policy: 'public' });
  world.records.asset = assetOf({ playback_ids: [both[0]] });
  directory.heed({ type: 'asset', id: ASSET });
  expect(await directory.content(String(ASSET) as ContentId)).toMatchObject({ policy: 'signed' });
  expect(await directory.content(LIVE_CONTENT)).toMatchObject({ kind: 'broadcast', policy: 'public' });
  expect(await directory.content('unknownContent00001' as ContentId)).toBeNull();
});

test('what is being deleted is gone, and a playback id that the record no longer has opens nothing', async () => {
  const { world, directory } = build();
  world.records.stream = streamOf({ status: 'deleting' });
  expect(await directory.playback(LIVE_PLAYBACK)).toBeNull();
  expect(await directory.content(LIVE_CONTENT)).toBeNull();
  world.records.asset = assetOf({ playback_ids: [] });
  expect(await directory.playback(VIDEO_PLAYBACK)).toBeNull();
});

test('broadcastNow sees past the second', async () => {
  const { world, directory } = build();
  await directory.broadcast(BROADCAST);
  world.records.broadcast = broadcastOf({ term: 9 });
  expect((await directory.broadcast(BROADCAST))?.term).toBe(1);
  expect((await directory.broadcastNow(BROADCAST))?.term).toBe(9);
});

test('content whose own record is gone belongs to whoever holds it, the public ones first; playlists do not', async () => {
  const { world, directory } = build();
  const clip = 'clip0000000000000001' as AssetId;
  world.records.stream = streamOf({ status: 'deleting' });
  world.records.asset = assetOf({ id: clip, content_id: LIVE_CONTENT });
  world.records.content = { id: LIVE_CONTENT, holders: [BROADCAST, clip] };
  expect(await directory.content(LIVE_CONTENT)).toMatchObject({ kind: 'asset', asset: { id: clip }, policy: 'public' });
  expect(await directory.playlistOwner(LIVE_CONTENT)).toBeNull();
  expect(await directory.playlistOwner(String(clip) as ContentId)).toMatchObject({ asset: { id: clip } });
});

test('signed content opens to the public when one of its holders is public, and only then', async () => {
  const { world, directory } = build();
  const clip = 'clip0000000000000001' as AssetId;
  world.records.stream = streamOf({ playback_ids: [{ id: LIVE_PLAYBACK, policy: 'signed' }] });
  expect(await directory.content(LIVE_CONTENT)).toMatchObject({ kind: 'broadcast', policy: 'signed' });
  world.records.asset = assetOf({ id: clip, content_id: LIVE_CONTENT });
  world.records.content = { id: LIVE_CONTENT, holders: [BROADCAST, clip] };
  world.now = 1_100;
  expect(await directory.content(LIVE_CONTENT)).toMatchObject({ kind: 'asset', policy: 'public' });
  expect(await directory.playlistOwner(LIVE_CONTENT)).toMatchObject({ kind: 'broadcast', policy: 'signed' });
  world.records.asset = assetOf({ id: clip, content_id: LIVE_CONTENT, status: 'deleting' });
  directory.heed({ type: 'asset', id: clip });
  expect(await directory.content(LIVE_CONTENT)).toMatchObject({ kind: 'broadcast', policy: 'signed' });
});

// Rules for streams, broadcasts and contents over records in hand and a clock in hand: what is done, when, and what is left alone.
import { describe, expect, test } from 'vitest';
import type { AssetId, BroadcastId } from '../platform/contract/ids.ts';
import type { BroadcastRecord, ContentRecord, StreamRecord } from '../platform/contract/records.ts';
import { idleBroadcasts } from '../test/support/broadcast-repairs.ts';
import { sampleBroadcast, sampleContent, sampleStream } from '../test/support/sample-records.ts';
import {
  ABANDONED_MS,
  BroadcastRepairs,
  type BroadcastRepairsDeps,
  CLOSING_AGAIN_MS,
  CLOSING_LIMIT_MS,
  CLOSING_WAIT_MS,
  DANGLING_MS,
  UNRECORDED_MS,
} from './broadcast-repairs.ts';
import { Forsaken } from './forsaken.ts';
import { PARTS_KEPT_MS } from './part-removal.ts';

type World = { stream: StreamRecord | null; broadcast: BroadcastRecord; content: ContentRecord | null };

/** Checks at given times; `done` tells what was asked of the platform. */
function repairs(world: World, given: Partial<BroadcastRepairsDeps> = {}) {
  const done: string[] = [];
  const stale: string[] = [];
  const clock = { ms: 0 };
  const deps: BroadcastRepairsDeps = {
    ...idleBroadcasts,
    stream: async () => world.stream,
    broadcast: async () => world.broadcast,
    content: async () => world.content,
    beginEnding: async () => void done.push('begin ending'),
    enqueueClosing: async () => (done.push('enqueue') > 0 ? 'added' : 'present'),
    endBroadcast: async () => void (world.broadcast.status === 'ended' || done.push('end')),
    leave: async (_content, holder) => void done.push(holder === world.broadcast.id ? 'leave' : `leave ${holder}`),
    finishContentRemoval: async () => void done.push('finish content'),
    removeParts: async () => done.push('remove parts') > 0,
    dropOldKeys: async () => void done.push('drop keys'),
    now: () => clock.ms,
    ...given,
  };
  const it = new BroadcastRepairs(
    deps,
    new Forsaken(() => clock.ms),
    () => undefined,
    (id) => stale.push(id),
  );
  return {
    done,
    stale,
    at(ms: number) {
      clock.ms = ms;
      return it;
    },
    broadcastAt(ms: number) {
      clock.ms = ms;
      return it.checkBroadcast(world.broadcast.id);
    },
  };
}
const ingest = { node: 'N'.repeat(22), session: 'S'.repeat(22), since: 0, key: 'primary' } as never;
const worldOf = (broadcast: Partial<BroadcastRecord>): World => ({
  stream: null,
  broadcast: sampleBroadcast({ reconnect_window_s: 10, ...broadcast }),
  content: null,
});

describe('live', () => {
  const limit = 10_000 + ABANDONED_MS;
  test('without its ingest it is on its way to the end after window and grace, not before', async () => {
    const it = repairs(worldOf({ ingest }));
    await it.broadcastAt(0);
    await it.broadcastAt(limit - 1);
    expect(it.done).toEqual([]);
    await it.broadcastAt(limit);
    expect(it.done).toEqual(['begin ending']);
  });
  test.each([true, null])('is left alone while its ingest is alive, or nobody can tell (%s)', async (isAlive) => {
    const it = repairs(worldOf({ ingest }), { isIngestAlive: () => isAlive });
    await it.broadcastAt(0);
    expect(await it.broadcastAt(10 * limit)).toBe(true);
    expect(it.done).toEqual([]);
  });
});

describe('ending', () => {
  const ending = () => worldOf({ status: 'ending' });
  test('while a worker closes it nothing is done', async () => {
    const it = repairs(ending(), { isCarried: async () => true });
    for (const ms of [0, CLOSING_WAIT_MS, CLOSING_LIMIT_MS]) expect(await it.broadcastAt(ms)).toBe(true);
    expect(it.done).toEqual([]);
  });
  test('without one it gets a job, three times, and only then is it ended as it stands', async () => {
    const it = repairs(ending());
    const step = CLOSING_AGAIN_MS;
    for (let ms = 0; ms <= CLOSING_WAIT_MS + 2 * step; ms += 1_000) await it.broadcastAt(ms);
    expect(it.done).toEqual(['enqueue', 'enqueue', 'enqueue']);
    await it.broadcastAt(CLOSING_WAIT_MS + 3 * step);
    expect(it.done.at(-1)).toBe('end');
  });
  test('a job that waits for a worker is not made again; there is an end to that too', async () => {
    let asked = 0;
    const enqueueClosing = async () => {
      asked += 1;
      return 'present' as const;
    };
    const it = repairs(ending(), { enqueueClosing });
    for (let ms = 0; ms < CLOSING_LIMIT_MS; ms += 1_000) await it.broadcastAt(ms);
    expect(it.done).toEqual([]);
    expect(asked).toBeGreaterThan(3);
    await it.broadcastAt(CLOSING_LIMIT_MS);
    expect(it.done).toEqual(['end']);
  });
  test('a worker seen in between starts the count anew', async () => {
    let isCarried = false;
    const it = repairs(ending(), { isCarried: async () => isCarried });
    await it.broadcastAt(0);
    isCarried = true;
    await it.broadcastAt(CLOSING_LIMIT_MS);
    isCarried = false;
    await it.broadcastAt(CLOSING_LIMIT_MS + 1_000);
    expect(it.done).toEqual([]);
  });
});

describe('ended', () => {
  /** Ended at 0, shown by its stream, held by itself. */
  function ended(changes: Partial<BroadcastRecord> = {}): World {
    const broadcast = sampleBroadcast({
      status: 'ended',
      ended_at: 0,
      asset_id: 'A'.repeat(22) as AssetId,
      ...changes,
    });
    const stream = sampleStream({ id: broadcast.stream_id, broadcast_id: broadcast.id });
    return { broadcast, stream, content: sampleContent({ id: broadcast.content_id, holders: [broadcast.id] }) };
  }
  test('its parts go a minute after the end, not before; then it is settled', async () => {
    const it = repairs(ended());
    expect(await it.broadcastAt(0)).toBe(PARTS_KEPT_MS);
    expect(await it.broadcastAt(PARTS_KEPT_MS - 1)).toBe(1);
    expect(it.done).toEqual([]);
    expect(await it.broadcastAt(PARTS_KEPT_MS)).toBe(false);
    expect(it.done).toEqual(['remove parts']);
  });
  test('parts wait for a worker that still stores', async () => {
    const it = repairs(ended(), { isSpooled: () => true });
    expect(await it.broadcastAt(PARTS_KEPT_MS)).toBe(true);
    expect(it.done).toEqual([]);
  });
  test('parts that are gone are not listed again', async () => {
    const it = repairs(ended({ parts_removed_at: 70_000 }));
    expect(await it.broadcastAt(80_000)).toBe(false);
    expect(it.done).toEqual([]);
  });
  test('it leaves its content when its stream shows another one', async () => {
    const world = ended({ parts_removed_at: 1 });
    if (world.stream !== null) world.stream.broadcast_id = 'B'.repeat(22) as BroadcastId;
    const it = repairs(world);
    expect(await it.broadcastAt(1_000)).toBe(false);
    expect(it.done).toEqual(['leave']);
  });
  test('it leaves its content when its stream is gone, once', async () => {
    const world = ended({ parts_removed_at: 1 });
    world.stream = null;
    const it = repairs(world);
    await it.broadcastAt(1_000);
    if (world.content !== null) world.content.holders = ['A'.repeat(22) as AssetId];
    await it.broadcastAt(2_000);
    expect(it.done).toEqual(['leave']);
  });
  test('one that is not recorded can be watched for an hour', async () => {
    const it = repairs(ended({ asset_id: null, parts_removed_at: 1 }));
    expect(await it.broadcastAt(1_000)).toBe(UNRECORDED_MS - 1_000);
    expect(it.done).toEqual([]);
    expect(await it.broadcastAt(UNRECORDED_MS)).toBe(false);
    expect(it.done).toEqual(['leave']);
  });
});

describe('streams', () => {
  test('going on to another broadcast brings a look at the one before', async () => {
    const world = worldOf({});
    world.stream = sampleStream({ broadcast_id: 'B'.repeat(22) as BroadcastId });
    const it = repairs(world);
    await it.at(0).checkStream(world.stream.id);
    expect(it.stale).toEqual([]);
    world.stream.broadcast_id = 'C'.repeat(22) as BroadcastId;
    await it.at(1).checkStream(world.stream.id);
    expect(it.stale).toEqual(['B'.repeat(22)]);
  });
  test('rotated keys go when they expire, and the next look is at that time', async () => {
    const world = worldOf({});
    world.stream = sampleStream({
      old_keys: [
        { hash: 'a', key: 'primary', until: 1_000 },
        { hash: 'b', key: 'backup', until: 9_000 },
      ],
    });
    const it = repairs(world);
    expect(await it.at(0).checkStream(world.stream.id)).toBe(1_001);
    expect(it.done).toEqual([]);
    expect(await it.at(1_000).checkStream(world.stream.id)).toBe(8_001);
    expect(it.done).toEqual(['drop keys']);
  });
});

describe('contents', () => {
  test('a removal that broke off is finished', async () => {
    const it = repairs({ ...worldOf({}), content: sampleContent({ status: 'deleting' }) });
    expect(await it.at(0).checkContent(sampleContent().id)).toBe(false);
    expect(it.done).toEqual(['finish content']);
  });
  test('a holder that never wrote its record is taken out, but not before it had time to', async () => {
    const holder = 'H'.repeat(22) as AssetId;
    const content = sampleContent({ holders: [holder] });
    const it = repairs({ ...worldOf({}), content }, { hasRecord: async () => false });
    expect(await it.at(0).checkContent(content.id)).toBe(true);
    await it.at(DANGLING_MS - 1).checkContent(content.id);
    expect(it.done).toEqual([]);
    await it.at(DANGLING_MS).checkContent(content.id);
    expect(it.done).toEqual([`leave ${holder}`]);
  });
  test('holders with records settle it', async () => {
    const content = sampleContent({ holders: ['H'.repeat(22) as AssetId] });
    expect(
      await repairs({ ...worldOf({}), content })
        .at(0)
        .checkContent(content.id),
    ).toBe(false);
  });
});

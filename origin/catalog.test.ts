// The catalog: only what is public and playable, newest first, from as few pages as needed.
import { expect, test } from 'vitest';
import type { AssetId, PlaybackId } from '../platform/contract/ids.ts';
import type { AssetRecord } from '../platform/contract/records.ts';
import {
  assetOf,
  BROADCAST,
  broadcastOf,
  LIVE_PLAYBACK,
  SIGNED_PLAYBACK,
  STREAM,
  streamOf,
} from '../test/support/timelines.ts';
import { createCatalog } from './catalog.ts';

const assetAt = (index: number, changes: Partial<AssetRecord> = {}): AssetRecord =>
  assetOf({
    id: `asset${String(index).padStart(16, '0')}` as AssetId,
    playback_ids: [{ id: `video${String(index).padStart(16, '0')}` as PlaybackId, policy: 'public' }],
    ...changes,
  });

type Setting = {
  assets?: AssetRecord[];
  stream?: ReturnType<typeof streamOf>;
  broadcast?: ReturnType<typeof broadcastOf>;
};

function build({ assets = [], stream = streamOf(), broadcast = broadcastOf() }: Setting) {
  let pages = 0;
  const catalog = createCatalog({
    windowS: 14_400,
    directory: { stream: async () => stream, broadcast: async () => broadcast },
    liveBroadcasts: async () => ({ [BROADCAST]: STREAM }),
    async listAssets({ limit, cursor }) {
      pages += 1;
      const from = Number(cursor ?? 0);
      const next = from + limit;
      return { values: assets.slice(from, next), nextCursor: next < assets.length ? String(next) : null };
    },
  });
  return { catalog, pages: () => pages };
}

test('ready public videos in the order of the list', async () => {
  const hidden = { playback_ids: [{ id: SIGNED_PLAYBACK, policy: 'signed' as const }] };
  const { catalog } = build({
    assets: [
      assetAt(0),
      assetAt(1, { status: 'preparing' }),
      assetAt(2, hidden),
      assetAt(3, { status: 'errored' }),
      assetAt(4),
    ],
  });
  expect((await catalog()).videos.map((one) => one.playback_id)).toEqual([
    'video0000000000000000',
    'video0000000000000004',
  ]);
});

test('at most 50, and no page more than they need', async () => {
  const { catalog, pages } = build({ assets: Array.from({ length: 300 }, (_none, index) => assetAt(index)) });
  expect((await catalog()).videos).toHaveLength(50);
  expect(pages()).toBe(1);
});

test('an endless list of unfinished ones is not read to its end', async () => {
  const assets = Array.from({ length: 2_000 }, (_none, index) => assetAt(index, { status: 'errored' }));
  const { catalog, pages } = build({ assets });
  expect((await catalog()).videos).toEqual([]);
  expect(pages()).toBe(5);
});

test.each([
  ['on the air', {}, {}, 1],
  ['over', { status: 'ended' }, {}, 0],
  ['without an epoch', { epochs: [] }, {}, 0],
  ['signed', {}, { playback_ids: [{ id: SIGNED_PLAYBACK, policy: 'signed' }] }, 0],
  ['of a stream that shows another broadcast', {}, { broadcast_id: null }, 0],
] as const)('live, %s: %#', async (_name, broadcast, stream, expected) => {
  const { catalog } = build({
    broadcast: broadcastOf(broadcast as never),
    stream: streamOf(stream as never),
  });
  const { live } = await catalog();
  expect(live).toHaveLength(expected);
  if (expected === 1) expect(live[0]).toMatchObject({ playback_id: LIVE_PLAYBACK, state: 'live' });
});

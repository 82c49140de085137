// A purge reaches memory, disk and what is on its way, of one id and no other.
import { describe, expect, it } from 'vitest';
import { parseViewerPath } from '../platform/contract/routes.ts';
import { bodyOf, CONTENT_ID, edgeWorld, PLAYBACK_ID, unseenMetrics, whole } from '../test/support/edge-world.ts';
import { PurgeIncomplete } from './errors.ts';
import { Fills, wantedOf } from './fill.ts';
import { LiveEdges } from './live-edges.ts';
import { NegativeStore } from './negative-store.ts';
import { purge } from './purge.ts';
import { NO_DIRECTIVES } from './request-target.ts';
import type { OriginAnswer, Upstream } from './upstream.ts';

const OTHER_ID = 'ContentContentContent2';
const IMMUTABLE = { 'cache-control': 'public, max-age=31536000, immutable', etag: '"media"' };
const segment = (content: string, msn = 7) => `/v/-/${content}/v720/1/s${msn}.writer.m4s`;

/** A request has reached its fill. */
const begun = () => new Promise((resolve) => setImmediate(resolve));
const noDisk = { purge: async () => 0 };

describe('a purge', () => {
  it('of a content takes its media and leaves the rest', async () => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'x'));
    for (const path of [segment(CONTENT_ID, 1), segment(CONTENT_ID, 2), segment(OTHER_ID), `/${PLAYBACK_ID}.m3u8`])
      await world.get(path);
    const asked: string[] = [];
    const disk = {
      async purge(id: string) {
        asked.push(id);
        return 5;
      },
    };
    expect(await purge({ ...world, disk }, CONTENT_ID)).toEqual({ memory: 2, disk: 5 });
    expect(asked).toEqual([CONTENT_ID]);
    const results = [segment(CONTENT_ID, 1), segment(OTHER_ID), `/${PLAYBACK_ID}.m3u8`].map(
      async (path) => (await world.get(path)).result,
    );
    expect(await Promise.all(results)).toEqual(['miss', 'hit', 'hit']);
  });

  it('of a playback id takes master, manifest and pictures', async () => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'x'));
    for (const tail of ['.m3u8', '.mpd', '.json', '/poster.jpg']) await world.get(`/${PLAYBACK_ID}${tail}`);
    expect(await purge({ ...world, disk: null }, PLAYBACK_ID)).toEqual({ memory: 4, disk: 0 });
  });

  it('lets those who wait have what is on its way, and keeps none of it', async () => {
    const comes: ((text: string) => void)[] = [];
    const world = edgeWorld(
      () => new Promise<OriginAnswer>((resolve) => comes.push((text) => resolve(whole(200, IMMUTABLE, text)))),
    );
    const before = world.get(segment(CONTENT_ID));
    await begun();
    await purge({ ...world, disk: noDisk }, CONTENT_ID);
    const after = world.get(segment(CONTENT_ID));
    await begun();
    comes[0]?.('old');
    expect((await bodyOf(await before)).toString()).toBe('old');
    expect(world.store.count).toBe(0);
    comes[1]?.('new');
    expect((await bodyOf(await after)).toString()).toBe('new');
    expect((await bodyOf(await world.get(segment(CONTENT_ID)))).toString()).toBe('new');
    expect(world.asked).toHaveLength(2);
  });

  it('is not brought back by a read of the disk that had begun', async () => {
    let come = (): void => undefined;
    const reading = new Promise<void>((resolve) => {
      come = resolve;
    });
    const object = {
      headers: {},
      body: Buffer.from('disk'),
      etag: null,
      arrivedMs: 0,
      freshUntilMs: 9e9,
      staleUntilMs: 9e9,
    };
    const world = edgeWorld(() => whole(200, { 'cache-control': 'no-store' }, 'origin'), 20_000, {
      find: () => reading.then(() => ({ object, isWanted: true })),
      offer: () => undefined,
      delete: () => undefined,
    });
    const answer = world.get(segment(CONTENT_ID));
    await begun();
    await purge({ ...world, disk: noDisk }, CONTENT_ID);
    come();
    expect((await bodyOf(await answer)).toString()).toBe('origin');
    expect(world.store.count).toBe(0);
  });

  it('is not brought back by an origin that says nothing has changed', async () => {
    let come = (_answer: OriginAnswer): void => undefined;
    const text = { 'cache-control': 'max-age=1', etag: '"p"' };
    const world = edgeWorld((request) =>
      request.ifNoneMatch === null
        ? whole(200, text, 'x')
        : new Promise<OriginAnswer>((resolve) => {
            come = resolve;
          }),
    );
    await world.get(`/${PLAYBACK_ID}.m3u8`);
    world.pass(1_000);
    const answer = world.get(`/${PLAYBACK_ID}.m3u8`);
    await begun();
    await purge({ ...world, disk: null }, PLAYBACK_ID);
    come(whole(304, text));
    expect((await answer).result).toBe('revalidated');
    expect(world.store.count).toBe(0);
  });

  it('leaves nothing under way that a stop of the edge would not end', async () => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'x'));
    const upstream: Upstream = {
      fetch: (_request, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      broke: () => undefined,
    };
    const fills = new Fills({
      upstream,
      store: world.store,
      disk: null,
      negatives: new NegativeStore(1),
      live: new LiveEdges(),
      metrics: unseenMetrics(),
      now: () => 0,
      onText: () => undefined,
    });
    const route = parseViewerPath(segment(CONTENT_ID));
    if (route === null) throw new Error('no route');
    const { filled } = fills.join(wantedOf(route, NO_DIRECTIVES, 'request-1', '127.0.0.1'));
    await purge({ store: world.store, disk: null, fills }, CONTENT_ID);
    fills.close();
    await expect(filled).rejects.toThrow('the edge is stopping');
  });

  it('says so when the disk cannot be purged, the memory being purged all the same', async () => {
    const world = edgeWorld(() => whole(200, IMMUTABLE, 'x'));
    await world.get(segment(CONTENT_ID));
    const disk = { purge: () => Promise.reject(new PurgeIncomplete('no')) };
    await expect(purge({ ...world, disk }, CONTENT_ID)).rejects.toThrow(PurgeIncomplete);
    expect(world.store.count).toBe(0);
  });
});

// Low-latency live through the edge: viewers wait here, origins hold one request per key, hinted parts come ahead, and faults meanwhile stay unseen.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EdgeSide, PROTOCOLS, startEdgeSide } from '../support/edge-side.ts';
import { until } from '../support/platform.ts';
import { createTestLive, partPath, playlistPath, type TestLive } from '../support/test-live.ts';
import { bytesOf, CONTENT, PLAYBACK, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const PLAYLIST = playlistPath();
const at = (msn: number, part?: number, skip = ''): string =>
  `${PLAYLIST}?_HLS_msn=${msn}${part === undefined ? '' : `&_HLS_part=${part}`}${skip}`;

describe.each(PROTOCOLS)('over %s', (protocol) => {
  let first: TestOrigin;
  let second: TestOrigin;
  let live: TestLive;
  let edge: EdgeSide;

  beforeEach(async () => {
    [first, second] = [await startTestOrigin(), await startTestOrigin()];
    live = createTestLive();
    for (const origin of [first, second]) origin.intercept(live.handler);
    edge = await startEdgeSide(() => [first.url, second.url], { protocol });
  });

  afterEach(async () => {
    await edge.close();
    await first.stop();
    await second.stop();
  });

  const asked = (part = ''): string[] => [...first.asked, ...second.asked].filter((path) => path.includes(part));
  const playlists = (): string[] => asked('.m3u8');
  const blocked = (count: number) =>
    until(`${count} viewers wait`, 10_000, async () => (await edge.metric('headwater_edge_blocked_viewers')) === count);

  describe('blocked viewers', () => {
    it('wait here: one upstream request for 500 of them, one text for all, kept for those who come late', async () => {
      const viewers = Array.from({ length: 500 }, () => edge.read(at(10, 1)));
      await blocked(500);
      expect(playlists()).toEqual([at(10, 1)]);
      live.advance();
      const answers = await Promise.all(viewers);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(answers.map(({ body }) => body.toString())).size).toBe(1);
      expect(answers[0]?.headers['headwater-position']).toBe('1.10.1');
      const late = await edge.read(at(10, 1));
      expect(late.headers['x-cache']).toBe('HIT');
      edge.shiftClock(9_000);
      expect((await edge.read(at(10, 1))).headers['x-cache']).toBe('HIT');
      expect(playlists()).toHaveLength(1);
      edge.shiftClock(12_500);
      expect((await edge.read(at(10, 1))).headers['x-cache']).toBe('MISS');
      await blocked(0);
    });

    it('are asked for apart by msn, part and skip, however the query is written', async () => {
      const visits = [
        edge.read(at(10, 1)),
        edge.read(`${PLAYLIST}?viewer=x&_HLS_part=1&_HLS_msn=10&other=1`),
        edge.read(at(10, 1, '&_HLS_skip=YES')),
        edge.read(at(10, 2)),
        edge.read(at(10)),
      ];
      await blocked(5);
      for (let part = 1; part < 4; part += 1) live.advance();
      const positions = (await Promise.all(visits)).map(({ headers }) => headers['headwater-position']);
      expect(positions).toEqual(['1.10.1', '1.10.1', '1.10.1', '1.10.2', '1.10.3']);
      expect(playlists().sort()).toEqual([at(10), at(10, 1), at(10, 1, '&_HLS_skip=YES'), at(10, 2)].sort());
    });

    it('who leave do not end the request, and leave nothing behind', async () => {
      const visits = [edge.visit(at(10, 1)), edge.visit(at(10, 1))];
      await blocked(2);
      for (const visit of visits) {
        visit.answer.catch(() => undefined);
        visit.leave();
      }
      await blocked(0);
      expect(await edge.metric('headwater_edge_fills')).toBe(1);
      live.advance();
      await until('the answer is kept', 5_000, async () => (await edge.read(at(10, 1))).headers['x-cache'] === 'HIT');
      expect(playlists()).toHaveLength(1);
    });

    it('see nothing of an origin that is killed while it holds their request', async () => {
      const viewers = Array.from({ length: 20 }, () => edge.read(at(10, 1)));
      await until('an origin holds it', 5_000, async () => live.held > 0);
      const holder = first.asked.length > 0 ? first : second;
      await holder.kill();
      await until('the other one holds it', 5_000, async () => playlists().length === 2 && live.held > 0);
      live.advance();
      expect(new Set((await Promise.all(viewers)).map(({ status }) => status))).toEqual(new Set([200]));
    });

    it('are taken elsewhere when health checks miss the origin that holds their request', async () => {
      const viewer = edge.read(at(10, 1));
      await until('an origin holds it', 5_000, async () => live.held > 0);
      const holder = first.asked.length > 0 ? first : second;
      holder.setHealthy(false);
      await until('the other one holds it', 6_000, async () => playlists().length === 2 && live.held > 0);
      live.advance();
      expect((await viewer).status).toBe(200);
    });

    it('of a stream that stands still get 503 with Retry-After, after a second opinion, and it is not kept', async () => {
      live.holdMs = 300;
      const answer = await edge.read(at(10, 1));
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
      expect(playlists()).toHaveLength(2);
      expect(edge.side.origins.counts().up).toBe(2);
      live.advance();
      expect((await edge.read(at(10, 1))).status).toBe(200);
    });

    it('who ask for what is too far ahead are told so', async () => {
      for (const count of [1, 2]) {
        expect((await edge.read(at(14, 0))).status).toBe(400);
        expect(playlists()).toHaveLength(count);
      }
    });

    it('are answered when the broadcast ends, with a playlist that is behind what they asked', async () => {
      const viewer = edge.read(at(10, 1));
      await until('an origin holds it', 5_000, async () => live.held > 0);
      live.end();
      const { status, body } = await viewer;
      expect(status).toBe(200);
      expect(body.toString()).toContain('#EXT-X-ENDLIST');
      expect(playlists()).toHaveLength(1);
    });
  });

  describe('positions', () => {
    it('a plain playlist behind what blocked viewers were shown is asked of the other origin', async () => {
      const lagging = createTestLive();
      for (let step = 0; step < 3; step += 1) live.advance();
      expect((await edge.read(at(10, 3))).headers['headwater-position']).toBe('1.10.3');
      const [one, other] = first.url < second.url ? [first, second] : [second, first];
      other.intercept(lagging.handler);
      for (let step = 1; step < 5; step += 1) {
        edge.shiftClock(step * 1_100);
        expect((await edge.read(PLAYLIST)).headers['headwater-position']).toBe('1.10.3');
      }
      expect(one.asked.length).toBeGreaterThan(0);
      expect(other.asked.length).toBeGreaterThan(0);
    });

    it('a late viewer is rightly shown the place asked for, and nobody is taken back by that', async () => {
      for (let step = 0; step < 6; step += 1) live.advance();
      expect((await edge.read(PLAYLIST)).headers['headwater-position']).toBe('1.11.2');
      expect((await edge.read(at(10, 2))).headers['headwater-position']).toBe('1.10.2');
      edge.shiftClock(1_100);
      expect((await edge.read(PLAYLIST)).headers['headwater-position']).toBe('1.11.2');
      expect(await edge.metric('headwater_edge_upstream_retries_total')).toBe(0);
    });

    it('an origin that waits for what others have shown is left after a second', async () => {
      live.advance();
      await edge.read(`${playlistPath('a0')}?_HLS_msn=10&_HLS_part=1`);
      const lagging = createTestLive();
      const [one, other] = first.url < second.url ? [first, second] : [second, first];
      for (const origin of [one, other])
        origin.intercept(first.asked.length > 0 === (origin === first) ? live.handler : lagging.handler);
      const startedMs = performance.now();
      const answers = [await edge.read(at(10, 1)), await edge.read(at(10, 1, '&_HLS_skip=YES'))];
      for (const { headers } of answers) expect(headers['headwater-position']).toBe('1.10.1');
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    });
  });

  describe('the hinted part', () => {
    it('is asked for ahead, once, and is here when viewers hear of it', async () => {
      await edge.read(PLAYLIST);
      await until(
        'its request waits at an origin',
        5_000,
        async () => asked(partPath(10, 1)).length === 1 && live.held === 1,
      );
      const viewers = [edge.read(at(10, 1)), edge.read(at(10, 1, '&_HLS_skip=YES'))];
      await blocked(2);
      live.advance();
      await Promise.all(viewers);
      await until(
        'it has come',
        5_000,
        async () => (await edge.metric('headwater_edge_prefetches_total{outcome="arrived"}')) >= 1,
      );
      const part = await edge.read(partPath(10, 1));
      expect(part.headers['x-cache']).toBe('HIT');
      expect(part.body.equals(bytesOf(partPath(10, 1), 20_000))).toBe(true);
      expect(asked(partPath(10, 1))).toHaveLength(1);
      expect(await edge.metric('headwater_edge_requests_total{kind="part"')).toBe(1);
    });

    it('is joined by viewers who ask for it before it exists', async () => {
      await edge.read(PLAYLIST);
      const viewer = edge.read(partPath(10, 1));
      await blocked(1);
      live.advance();
      const { status, headers, body } = await viewer;
      expect(status).toBe(200);
      expect(headers['x-cache']).toBe('COALESCED');
      expect(body).toHaveLength(20_000);
      expect(asked(partPath(10, 1))).toHaveLength(1);
    });

    it('is not asked for while nobody asks for the playlist', async () => {
      await edge.read(PLAYLIST);
      await until('the first hint is followed', 5_000, async () => live.held === 1);
      for (let step = 0; step < 8; step += 1) live.advance();
      await until('it has come', 5_000, async () => (await edge.metric('headwater_edge_prefetches_total')) === 1);
      expect(asked('.m4s')).toEqual([partPath(10, 1)]);
    });

    it('that proves wrong is forgotten: the place is asked for anew', async () => {
      await edge.read(PLAYLIST);
      await until('the hint is followed', 5_000, async () => live.held === 1);
      live.takeOver('another1');
      live.advance();
      await until(
        'it is gone',
        5_000,
        async () => (await edge.metric('headwater_edge_prefetches_total{outcome="missing"}')) === 1,
      );
      expect((await edge.read(partPath(10, 1, 'v240', 'another1'))).status).toBe(200);
      expect((await edge.read(partPath(10, 1))).status).toBe(404);
    });
  });

  describe('a part', () => {
    it('that comes late is 503 and then there, never 404 meanwhile', async () => {
      live.holdMs = 200;
      const late = await edge.read(partPath(10, 1));
      expect(late.status).toBe(503);
      expect(late.headers['retry-after']).toBe('1');
      live.advance();
      expect((await edge.read(partPath(10, 1))).status).toBe(200);
    });

    it('unknown to an origin that lags is asked of the other one', async () => {
      for (let step = 0; step < 3; step += 1) live.advance();
      await edge.read(PLAYLIST);
      const lagging = createTestLive();
      const [one, other] = first.url < second.url ? [first, second] : [second, first];
      one.intercept(lagging.handler);
      other.intercept(live.handler);
      for (const part of [2, 3]) expect((await edge.read(partPath(10, part))).status).toBe(200);
    });
  });

  it('viewers are counted by playback id with directives too, prefetches are not viewers', async () => {
    await edge.read(`/${PLAYBACK}.m3u8`);
    live.advance();
    await Promise.all(['one', 'two', 'two'].map((viewer) => edge.read(at(10, 1, `&viewer=${viewer}`))));
    await until('the hint is followed', 5_000, async () => live.held === 1);
    expect(edge.side.viewerCounts()).toEqual({ [PLAYBACK]: 2 });
    expect(CONTENT).not.toBe(PLAYBACK);
  });
});

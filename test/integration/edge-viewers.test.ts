// The edge's viewer side over real connections to real origins that break, lag and die.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EdgeSide, PROTOCOLS, startEdgeSide } from '../support/edge-side.ts';
import { until } from '../support/platform.ts';
import { bytesOf, CONTENT, PLAYBACK, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const segment = (msn: number) => `/v/-/${CONTENT}/v240/0/s${msn}.writer.m4s`;
const PLAYLIST = `/v/-/${CONTENT}/v240/index.m3u8`;

describe.each(PROTOCOLS)('over %s', (protocol) => {
  let first: TestOrigin;
  let second: TestOrigin;
  let edge: EdgeSide;

  beforeEach(async () => {
    [first, second] = [await startTestOrigin(), await startTestOrigin()];
    edge = await startEdgeSide(() => [first.url, second.url], { protocol });
  });

  afterEach(async () => {
    await edge.close();
    await first.stop();
    await second.stop();
  });

  const asked = (): string[] => [...first.asked, ...second.asked];
  const read: EdgeSide['read'] = (...request) => edge.read(...request);
  const metric = (name: string) => edge.metric(name);

  /** An origin address is picked in turn; the first request of a test goes to the lower one. */
  const inTurn = (): [TestOrigin, TestOrigin] => (first.url < second.url ? [first, second] : [second, first]);

  describe('one upstream request', () => {
    it('serves 500 viewers who come while it is under way', async () => {
      // They are connected before: 500 handshakes may take longer than an origin is waited for. HTTP/2 needs six.
      if (protocol !== 'HTTP/2') await Promise.all(Array.from({ length: 500 }, () => read('/healthz')));
      const held = inTurn()[0].hold();
      const viewers = Array.from({ length: 500 }, () => read(segment(1)));
      await held.reached;
      await until(
        'all others wait on it',
        10_000,
        async () => (await metric('headwater_edge_coalesced_total')) === 499,
      );
      held.release();
      const expected = bytesOf(segment(1));
      for (const { status, body } of await Promise.all(viewers)) {
        expect(status).toBe(200);
        expect(body.equals(expected)).toBe(true);
      }
      expect(asked()).toEqual([segment(1)]);
    });

    it('gives its bytes to viewers while they arrive', async () => {
      const origin = inTurn()[0];
      let finish: () => void = () => undefined;
      const whole = bytesOf(segment(2));
      origin.intercept((req, res) => {
        if (req.url !== segment(2)) return false;
        res.writeHead(200, { 'content-length': whole.length, 'cache-control': 'max-age=60', etag: '"e"' });
        res.write(whole.subarray(0, 1_000));
        finish = () => void res.end(whole.subarray(1_000));
        return true;
      });
      const visit = edge.visit(segment(2));
      await until('the first bytes are here', 5_000, async () => visit.received() === 1_000);
      finish();
      const { body } = await visit.answer;
      expect(body.equals(whole)).toBe(true);
    });

    it('carries the internal secret and nothing of the viewer', async () => {
      await read(segment(3), {
        cookie: 'a=b',
        'x-forwarded-host': 'evil',
        'accept-encoding': 'gzip',
        range: 'bytes=0-1',
      });
      const seen = inTurn()[0].lastHeaders();
      expect(seen['headwater-internal']).toBe('the-secret-between-the-roles-here');
      for (const name of ['cookie', 'x-forwarded-host', 'accept-encoding', 'range']) expect(seen[name]).toBeUndefined();
    });
  });

  describe('an origin that breaks off in a body', () => {
    it('is followed by another one, by Range, under the same ETag', async () => {
      inTurn()[0].cutNextAfter(100_000);
      const { status, body } = await read(segment(4));
      expect(status).toBe(200);
      expect(body.equals(bytesOf(segment(4)))).toBe(true);
      expect([...first.ranges, ...second.ranges]).toHaveLength(1);
      expect([...first.ranges, ...second.ranges][0]).toMatch(/^bytes=[1-9]\d*-299999$/);
      expect(await metric('headwater_edge_fill_resumes_total')).toBe(1);
      expect((await read(segment(4))).headers['x-cache']).toBe('HIT');
    });

    it('never has its object mixed with one under another ETag: the viewer is cut, nothing is kept', async () => {
      const [one, other] = inTurn();
      other.setEtag('another');
      one.intercept((req) => {
        if (req.headers.range !== undefined) one.setEtag('changed too');
        return false;
      });
      one.cutNextAfter(100_000);
      const { body, isComplete } = await read(segment(5));
      expect(isComplete).toBe(false);
      expect(body.length).toBeLessThanOrEqual(100_000);
      one.intercept(null);
      expect((await read(segment(5))).headers['x-cache']).toBe('MISS');
    });

    it('loses a playlist whole: the next origin gives all of it', async () => {
      inTurn()[0].intercept((_req, res) => {
        res.writeHead(200, { 'content-length': 500, 'cache-control': 'max-age=1' });
        res.write('#EXTM3U\n', () => res.socket?.resetAndDestroy());
        return true;
      });
      const { status, body } = await read(PLAYLIST);
      expect(status).toBe(200);
      expect(body.toString()).toBe('#EXTM3U\n#POSITION 1.10.0\n');
    });
  });

  describe('origins that die', () => {
    it('are not seen by viewers who ask for uncached media meanwhile', async () => {
      const statuses: number[] = [];
      for (let msn = 100; msn < 140; msn += 1) {
        if (msn === 105) await first.kill();
        if (msn === 120) await first.restart();
        if (msn === 125) await second.kill();
        const { status, body } = await read(segment(msn));
        expect(body.equals(bytesOf(segment(msn)))).toBe(true);
        statuses.push(status);
      }
      expect(new Set(statuses)).toEqual(new Set([200]));
      expect(await metric('headwater_edge_upstream_retries_total')).toBeGreaterThan(0);
    });

    it('all at once are waited for: a restart within 2 s is no error', async () => {
      await Promise.all([first.kill(), second.kill()]);
      const answer = read(segment(6));
      await until(
        'a round has failed',
        5_000,
        async () => (await metric('headwater_edge_upstream_retries_total')) >= 4,
      );
      await first.restart();
      expect((await answer).status).toBe(200);
    });

    it('leave stale playlists to be shown, live ones for 6 s, and then 503 with Retry-After', async () => {
      expect((await read(PLAYLIST)).status).toBe(200);
      expect((await read(`/${PLAYBACK}.m3u8`)).status).toBe(200);
      await Promise.all([first.kill(), second.kill()]);
      edge.shiftClock(1_500);
      const stale = await read(PLAYLIST);
      expect(stale.status).toBe(200);
      expect(stale.headers['x-cache']).toBe('STALE');
      expect(Number(stale.headers['age'])).toBeGreaterThanOrEqual(1);
      edge.shiftClock(20_000);
      const [gone, master] = await Promise.all([read(PLAYLIST), read(`/${PLAYBACK}.m3u8`)]);
      expect(gone.status).toBe(503);
      expect(gone.headers['retry-after']).toBe('1');
      expect(gone.headers['cache-control']).toBe('no-store');
      expect(master.headers['x-cache']).toBe('STALE');
    });

    it('are taken out by health checks and taken back by one good check', async () => {
      first.setHealthy(false);
      await until('it is out', 10_000, async () => edge.side.origins.counts().up === 1);
      const before = first.asked.length;
      for (let msn = 200; msn < 210; msn += 1) await read(segment(msn));
      expect(first.asked.length).toBe(before);
      first.setHealthy(true);
      await until('it is in', 10_000, async () => edge.side.origins.counts().up === 2);
      for (let msn = 210; msn < 220; msn += 1) await read(segment(msn));
      expect(first.asked.length).toBe(before + 5);
    });
  });

  describe('answers that must not be believed', () => {
    it('a live playlist behind what was served is asked of the other origin', async () => {
      const [lagging, current] = inTurn();
      lagging.setPosition('1.10.0');
      current.setPosition('1.12.0');
      expect((await read(PLAYLIST)).body.toString()).toContain('1.10.0');
      for (const step of [1_500, 3_000, 4_500, 6_000]) {
        edge.shiftClock(step);
        expect((await read(PLAYLIST)).body.toString()).toContain('1.12.0');
      }
    });

    it('when both are behind, the held one is shown', async () => {
      first.setPosition('1.20.0');
      second.setPosition('1.20.0');
      await read(PLAYLIST);
      first.setPosition('1.19.0');
      second.setPosition('1.18.0');
      edge.shiftClock(1_500);
      const { body, headers } = await read(PLAYLIST);
      expect(body.toString()).toContain('1.20.0');
      expect(headers['x-cache']).toBe('STALE');
    });

    it('a 503 about one stream gets a second opinion and harms no origin', async () => {
      for (const origin of [first, second]) {
        origin.intercept((_req, res) => {
          res.writeHead(503, { 'headwater-scope': 'stream', 'retry-after': '1' }).end();
          return true;
        });
      }
      for (let i = 0; i < 8; i += 1) expect((await read(PLAYLIST)).status).toBe(503);
      expect(asked()).toHaveLength(16);
      expect(edge.side.origins.counts().up).toBe(2);
    });

    it('a 500, a redirect and a 401 are failures of that origin only', async () => {
      for (const status of [500, 302, 401]) {
        const bad = inTurn()[0];
        bad.intercept((_req, res) => {
          res.writeHead(status, { location: '/elsewhere', 'cache-control': 'max-age=600' }).end('bad');
          return true;
        });
        for (let i = 0; i < 2; i += 1) expect((await read(segment(status * 10 + i))).status).toBe(200);
      }
    });
  });
});

// One of two origins answers its health checks and fails requests in every way it can: no viewer sees it, and it is left alone.
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EdgeSide, startEdgeSide } from '../support/edge-side.ts';
import { until } from '../support/platform.ts';
import { bytesOf, CONTENT, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const REQUESTS = 200;
const AT_ONCE = 20;
const segment = (msn: number) => `/v/-/${CONTENT}/v240/0/s${msn}.writer.m4s`;

let faulty: TestOrigin;
let good: TestOrigin;
let edge: EdgeSide;
let msn = 0;

beforeEach(async () => {
  [faulty, good] = [await startTestOrigin(), await startTestOrigin()];
  edge = await startEdgeSide(() => [faulty.url, good.url]);
});

afterEach(async () => {
  await edge.close();
  await faulty.stop();
  await good.stop();
});

/** Asks for segments nobody asked for before. @returns longest wait, ms; every one of them came right */
async function readAll(requests = REQUESTS): Promise<number> {
  let longestMs = 0;
  const viewer = async () => {
    for (let n = 0; n < requests / AT_ONCE; n += 1) {
      msn += 1;
      const path = segment(msn);
      const fromMs = performance.now();
      const { status, body } = await edge.read(path);
      longestMs = Math.max(longestMs, performance.now() - fromMs);
      expect(status).toBe(200);
      expect(body.equals(bytesOf(path))).toBe(true);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, viewer));
  return longestMs;
}

const media = { 'content-length': 300_000, 'cache-control': 'max-age=60', etag: '"another"' };
const faults: [string, (res: ServerResponse) => void][] = [
  ['a 500', (res) => void res.writeHead(500).end('no')],
  ['a 503 without scope', (res) => void res.writeHead(503).end()],
  ['bytes that are no HTTP', (res) => void res.socket?.end('SSH-2.0-garbage\r\n\r\n')],
  ['a redirect', (res) => void res.writeHead(302, { location: '/elsewhere' }).end()],
];

describe('an origin that answers every request with', () => {
  it.each(faults)('%s', async (_what, fault) => {
    faulty.intercept((_req, res) => {
      fault(res);
      return true;
    });
    await readAll();
    expect(await edge.metric('headwater_edge_upstream_retries_refused_total')).toBe(0);
    const before = faulty.asked.length;
    await readAll(AT_ONCE);
    expect(faulty.asked.length - before).toBeLessThanOrEqual(2);
  });
});

describe('an origin that', () => {
  it('breaks off in every body is followed by the other one, byte for byte', async () => {
    faulty.intercept(() => {
      faulty.cutNextAfter(100_000);
      return false;
    });
    await readAll();
    expect(await edge.metric('headwater_edge_fill_resumes_total')).toBeGreaterThan(0);
  });

  it('keeps silent is left alone after its first requests', async () => {
    faulty.intercept(() => true);
    expect(await readAll()).toBeLessThan(4_500);
    expect(await edge.metric('headwater_edge_origins{state="ejected"}')).toBe(1);
    expect(await edge.metric('headwater_edge_origin_ejections_total')).toBe(1);
    expect(await readAll(AT_ONCE)).toBeLessThan(1_000);
  });

  it('grows slow is overtaken by the other one', async () => {
    await readAll();
    faulty.intercept((req, res) => {
      const path = req.url ?? '';
      setTimeout(() => res.writeHead(200, media).end(bytesOf(path)), 1_500).unref();
      return true;
    });
    expect(await readAll(AT_ONCE)).toBeLessThan(1_000);
    expect(await edge.metric('headwater_edge_hedges_total{outcome="won"}')).toBeGreaterThanOrEqual(5);
    expect(edge.side.origins.counts().up).toBe(2);
  });
});

describe('when all origins answer 500 for a while', () => {
  it('viewers are refused without asking them much, and served again within seconds after it', async () => {
    for (const origin of [faulty, good]) {
      origin.intercept((_req, res) => {
        res.writeHead(500).end();
        return true;
      });
    }
    const statuses = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => (await edge.read(segment(2_000_000 + n))).status),
    );
    expect(new Set(statuses)).toEqual(new Set([503]));
    // One try each, the retries that the budget grants, and trials.
    expect(faulty.asked.length + good.asked.length).toBeLessThan(200);
    for (const origin of [faulty, good]) origin.intercept(null);
    await until('a viewer is served', 6_000, async () => {
      msn += 1;
      return (await edge.read(segment(msn))).status === 200;
    });
    await readAll(AT_ONCE);
  });
});

describe('when nobody answers requests', () => {
  it('viewers get 503 with Retry-After within a second, and content as soon as one is back', async () => {
    for (const origin of [faulty, good]) {
      origin.intercept(() => true);
      origin.setHealthy(false);
    }
    await until('both are out', 10_000, async () => edge.side.origins.counts().up === 0);
    await until('they have been for long', 10_000, async () => edge.side.origins.downMs() >= 3_000);
    const visits = Array.from({ length: 50 }, async (_, n) => {
      const fromMs = performance.now();
      const { status, headers } = await edge.read(segment(1_000_000 + n));
      return { status, retryAfter: headers['retry-after'], isQuick: performance.now() - fromMs < 1_000 };
    });
    expect(new Set((await Promise.all(visits)).map((visit) => JSON.stringify(visit)))).toEqual(
      new Set([JSON.stringify({ status: 503, retryAfter: '1', isQuick: true })]),
    );
    good.intercept(null);
    good.setHealthy(true);
    await until('one is in', 10_000, async () => edge.side.origins.counts().up === 1);
    await readAll(AT_ONCE);
  });
});

// Must show J: how an edge spreads 1,000 requests over real origins, with all of them there, one killed, and that one back.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createRandom, createRoundRobin, type Selector } from '../../edge-cache/balancer.ts';
import { createViewerSide, type ViewerSide } from '../../edge-cache/viewer-side.ts';
import { createHttpClient, type HttpClient } from '../../platform/runtime/http-client.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { until } from '../support/platform.ts';
import { PLAYBACK, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const REQUESTS = 1_000;
const AT_ONCE = 20;

let origins: TestOrigin[];
let side: ViewerSide;
let http: HttpClient;
let base: string;

async function startEdge(selector: Selector): Promise<void> {
  origins = [await startTestOrigin(), await startTestOrigin(), await startTestOrigin()];
  const text = '#EXTM3U\n';
  for (const origin of origins) {
    origin.intercept((req, res) => {
      if (!req.url?.endsWith('.m3u8')) return false;
      const headers = {
        'content-type': 'application/vnd.apple.mpegurl',
        'content-length': text.length,
        'cache-control': 'public, max-age=5',
        'headwater-policy': 'public',
        etag: '"1"',
      };
      res.writeHead(200, headers).end(text);
      return true;
    });
  }
  http = createHttpClient(64, 500);
  side = createViewerSide({
    http,
    held: http,
    log: silentLogger,
    metrics: createMetrics(false),
    selector,
    internalSecret: 'the-secret-between-the-roles-here',
    memoryBytes: 50_000_000,
    pagesFolder: '/no/such/folder',
    origins: { urls: () => origins.map((origin) => origin.url) },
    edges: () => [],
    isDraining: () => false,
    now: () => performance.now(),
  });
  await side.origins.start();
  side.server.listen(0, '127.0.0.1');
  await once(side.server, 'listening');
  base = `http://127.0.0.1:${(side.server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  await side.origins.close();
  side.fills.close();
  const closed = once(side.server, 'close');
  side.server.close();
  side.server.closeAllConnections();
  await closed;
  await http.close();
  for (const origin of origins) await origin.stop();
});

let asked = 0;
/** Asks for playlists nobody asked for before. @returns how many of them each origin answered */
async function sendAll(): Promise<number[]> {
  const before = origins.map((origin) => origin.asked.length);
  const statuses = new Set<number>();
  const worker = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      asked += 1;
      const answer = await fetch(`${base}/${PLAYBACK}${String(asked).padStart(8, '0')}.m3u8`);
      await answer.arrayBuffer();
      statuses.add(answer.status);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => worker(REQUESTS / AT_ONCE)));
  expect([...statuses]).toEqual([200]);
  return origins.map((origin, index) => origin.asked.length - (before[index] ?? 0));
}

async function withoutAndWith(expectShares: (shares: number[], wanted: number[]) => void): Promise<void> {
  const [first] = origins;
  expectShares(await sendAll(), [1 / 3, 1 / 3, 1 / 3]);
  await first?.kill();
  await until('the killed one is out', 10_000, async () => side.origins.counts().up === 2);
  expectShares(await sendAll(), [0, 1 / 2, 1 / 2]);
  await first?.restart();
  await until('it is back', 10_000, async () => side.origins.counts().up === 3);
  expectShares(await sendAll(), [1 / 3, 1 / 3, 1 / 3]);
}

describe('1,000 requests over three origins, one killed and back', () => {
  it('round robin: equal shares', async () => {
    await startEdge(createRoundRobin());
    await withoutAndWith((shares, wanted) => {
      shares.forEach((count, index) => {
        expect(Math.abs(count - REQUESTS * (wanted[index] ?? 0))).toBeLessThanOrEqual(2);
      });
    });
  });

  it('random: near-equal shares', async () => {
    await startEdge(createRandom());
    await withoutAndWith((shares, wanted) => {
      shares.forEach((count, index) => {
        const share = wanted[index] ?? 0;
        // Five standard deviations of a binomial count: once in two million runs by chance.
        expect(Math.abs(count - REQUESTS * share)).toBeLessThanOrEqual(5 * Math.sqrt(REQUESTS * share * (1 - share)));
      });
    });
  });
});

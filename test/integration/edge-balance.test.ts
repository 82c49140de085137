// Must show J: how an edge spreads 1,000 requests over real origins, with all of them there, one killed, and that one back.
import { afterEach, describe, expect, it } from 'vitest';
import {
  createConsistentHash,
  createLeastConnections,
  createRandom,
  createRoundRobin,
  type Selector,
} from '../../edge-cache/balancer.ts';
import { type EdgeSide, startEdgeSide } from '../support/edge-side.ts';
import { until } from '../support/platform.ts';
import { PLAYBACK, startTestOrigin, type TestOrigin } from '../support/test-origin.ts';

const REQUESTS = 1_000;
const AT_ONCE = 20;

let origins: TestOrigin[];
let edge: EdgeSide;

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
  edge = await startEdgeSide(() => origins.map((origin) => origin.url), { selector });
}

afterEach(async () => {
  await edge.close();
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
      const answer = await fetch(`${edge.base}/${PLAYBACK}${String(asked).padStart(8, '0')}.m3u8`);
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
  await until('the killed one is out', 10_000, async () => edge.side.origins.counts().up === 2);
  expectShares(await sendAll(), [0, 1 / 2, 1 / 2]);
  await first?.restart();
  await until('it is back', 10_000, async () => edge.side.origins.counts().up === 3);
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

/** Asks for objects by number. @returns index of the origin that answered each */
async function placesOf(numbers: number[]): Promise<number[]> {
  for (const number of numbers) {
    const answer = await fetch(`${edge.base}/${PLAYBACK}${String(number).padStart(8, '0')}.m3u8`);
    await answer.arrayBuffer();
    expect(answer.status).toBe(200);
  }
  return numbers.map((number) => {
    const path = `/${PLAYBACK}${String(number).padStart(8, '0')}.m3u8`;
    return origins.findIndex((origin) => origin.asked.includes(path));
  });
}

describe('over three origins', () => {
  it('consistent hash: an object comes from the same one, and only those of a killed one move', async () => {
    await startEdge(createConsistentHash());
    const numbers = Array.from({ length: 90 }, (_, n) => 90_000_000 + n);
    const before = await placesOf(numbers);
    expect(new Set(before).size).toBe(3);
    for (const origin of origins) origin.asked.length = 0;
    edge.shiftClock(10_000);
    expect(await placesOf(numbers)).toEqual(before);
    await origins[0]?.kill();
    await until('the killed one is out', 10_000, async () => edge.side.origins.counts().up === 2);
    for (const origin of origins) origin.asked.length = 0;
    edge.shiftClock(20_000);
    const after = await placesOf(numbers);
    expect(after.every((place, n) => (before[n] === 0 ? place !== 0 : place === before[n]))).toBe(true);
  });

  it('least connections: one that takes its time gets few', async () => {
    await startEdge(createLeastConnections());
    const slow = origins[1];
    slow?.intercept((_req, res) => {
      setTimeout(() => res.writeHead(200, { 'content-length': 1, 'cache-control': 'max-age=5' }).end('#'), 60);
      return true;
    });
    const shares = await sendAll();
    expect(shares[1]).toBeLessThan(REQUESTS / 6);
    expect(shares[0]).toBeGreaterThan(REQUESTS / 4);
  });
});

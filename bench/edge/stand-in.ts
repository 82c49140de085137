// Stand-in origins under the bench's hand: processes on the clients' core that share one wall clock zero.
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { messageOf } from '../../platform/runtime/errors.ts';
import { freePort } from '../../test/support/ports.ts';
import { classic } from './live-texts.ts';
import { COUNTS_PATH, type Counts } from './origin.ts';
import { CLIENT_CORE, startPinned } from './processes.ts';

export type StandIn = {
  url: string;
  /** What was asked since the last reading; of a dead one what it had been asked by then. */
  counts(): Promise<Counts>;
  /** kill -9. */
  kill(): Promise<void>;
  stop(): Promise<void>;
};

/** The live streams have run this long at a start: their windows are full. Unit: ms. */
export const HEAD_START_MS = classic.segmentMs * classic.window * 2;
const NOTHING: Counts = { requests: [], bytes: 0, lateMs: 0 };

/** @param zeroMs wall clock at which the live streams began */
export async function startStandIn(zeroMs: number): Promise<StandIn> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['ops/scripts/bench.mjs', 'edge/origin', '--port', String(port), '--zero', String(zeroMs)];
  const isUp = async () => (await fetch(`${url}/healthz`)).ok;
  const origin = await startPinned(CLIENT_CORE, process.execPath, args, { cwd: process.cwd() }, isUp);
  const read = () => readCounts(url);
  let left: Counts | null = null;
  return {
    url,
    async counts() {
      const last = left;
      if (last !== null) left = NOTHING;
      return last ?? read();
    },
    async kill() {
      left = await read();
      await origin.kill();
    },
    stop: () => origin.stop(),
  };
}

/** Over a connection of its own: a kept one may have been closed meanwhile. @throws Error that says what broke */
async function readCounts(url: string): Promise<Counts> {
  const request = get(url + COUNTS_PATH, { agent: false, timeout: 10_000 });
  request.once('timeout', () => request.destroy(new Error('no answer')));
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return (await json(response)) as Counts;
  } catch (thrown) {
    throw new Error(`the origin does not tell what it was asked: ${messageOf(thrown)}`, { cause: thrown });
  }
}

export type Asked = {
  /** Requests at the origins. */
  requests: number;
  /** Objects among them that one request is enough for, and the requests for them: coalescing is ideal when both are equal. */
  objects: number;
  requestsForObjects: number;
  /** Most requests for one of them. */
  most: number;
  bytes: number;
  /** Longest time by which an answer that was held back left too late. Unit: ms. */
  lateMs: number;
};

/** Whether a request for this target has one answer for good, so that an edge needs to ask once. */
const isAskedOnce = (target: string): boolean => target.includes('_HLS_msn=') || /\.(?:m4s|mp4)$/.test(target);

/** What several origins were asked, as one. */
export function sumCounts(all: readonly Counts[]): Asked {
  const once = new Map<string, number>();
  const asked: Asked = { requests: 0, objects: 0, requestsForObjects: 0, most: 0, bytes: 0, lateMs: 0 };
  for (const { requests, bytes, lateMs } of all) {
    asked.bytes += bytes;
    asked.lateMs = Math.max(asked.lateMs, lateMs);
    for (const [target, count] of requests) {
      asked.requests += count;
      if (isAskedOnce(target)) once.set(target, (once.get(target) ?? 0) + count);
    }
  }
  for (const count of once.values()) {
    asked.objects += 1;
    asked.requestsForObjects += count;
    asked.most = Math.max(asked.most, count);
  }
  return asked;
}

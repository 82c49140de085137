// Stand-in origins under the bench's hand: processes on the clients' core that share one wall clock zero.
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
const NOTHING: Counts = { requests: [], bytes: 0 };

/** @param zeroMs wall clock at which the live streams began */
export async function startStandIn(zeroMs: number): Promise<StandIn> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['ops/scripts/bench.mjs', 'edge/origin', '--port', String(port), '--zero', String(zeroMs)];
  const isUp = async () => (await fetch(`${url}/healthz`)).ok;
  const origin = await startPinned(CLIENT_CORE, process.execPath, args, { cwd: process.cwd() }, isUp);
  const read = async () => (await (await fetch(url + COUNTS_PATH)).json()) as Counts;
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

export type Asked = {
  /** Requests at the origins. */
  requests: number;
  /** Objects among them that one request is enough for, and the requests for them: coalescing is ideal when both are equal. */
  objects: number;
  requestsForObjects: number;
  /** Most requests for one of them. */
  most: number;
  bytes: number;
};

/** Whether a request for this target has one answer for good, so that an edge needs to ask once. */
const isAskedOnce = (target: string): boolean => target.includes('_HLS_msn=') || /\.(?:m4s|mp4)$/.test(target);

/** What several origins were asked, as one. */
export function sumCounts(all: readonly Counts[]): Asked {
  const once = new Map<string, number>();
  const asked: Asked = { requests: 0, objects: 0, requestsForObjects: 0, most: 0, bytes: 0 };
  for (const { requests, bytes } of all) {
    asked.bytes += bytes;
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

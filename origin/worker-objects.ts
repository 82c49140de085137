// Media that is not in the store yet: fetched from the transcoder that keeps it on its disk while the store is away.
import { Readable } from 'node:stream';
import type { NodeId } from '../platform/contract/ids.ts';
import type { NodeInfo } from '../platform/contract/nodes.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import { headers, workerObjectPath } from '../platform/contract/routes.ts';
import { AppError } from '../platform/runtime/errors.ts';
import type { HttpClient } from '../platform/runtime/http-client.ts';
import type { CounterMetric } from '../platform/runtime/metrics.ts';
import { parseRange } from './byte-range.ts';
import { RangeUnsatisfiable } from './errors.ts';
import type { ObjectHolders } from './objects.ts';

export interface WorkerObjects extends ObjectHolders {
  /** Nodes that carry a broadcast now. */
  carriersOf(broadcast: BroadcastRecord): NodeId[];
}

export type WorkerObjectsDeps = {
  /** Transcoders as the registry knows them. */
  nodes(): NodeInfo[];
  http: HttpClient;
  internalSecret: string;
  /** Labelled `found` or `failed`. */
  counted: CounterMetric;
};

const FIRST_BYTE_MS = 1_500;
const IDLE_MS = 3_000;

export function createWorkerObjects({ nodes, http, internalSecret, counted }: WorkerObjectsDeps): WorkerObjects {
  const ask = async (url: string, key: ObjectKey, isHead: boolean, signal: AbortSignal) => {
    const answer = await http.request(url, {
      path: workerObjectPath(key),
      method: isHead ? 'HEAD' : 'GET',
      headers: { [headers.internal]: internalSecret },
      firstByteMs: FIRST_BYTE_MS,
      idleMs: IDLE_MS,
      signal,
    });
    // A body that is left before its end says so as an error, also when nobody reads it any more.
    answer.body.on('error', () => undefined);
    const bytes = Number(answer.headers['content-length']);
    if (answer.status === 200 && Number.isSafeInteger(bytes)) return { bytes, body: answer.body };
    answer.body.destroy();
    return null;
  };
  return {
    async open(node, { key, isHead, range, signal }) {
      const url = nodes().find((one) => one.id === node)?.url;
      const answer = url === undefined ? null : await ask(url, key, isHead, signal).catch(unlessLeft(signal));
      counted.add({ result: answer === null ? 'failed' : 'found' });
      if (answer === null) return null;
      const { bytes, body } = answer;
      if (isHead) {
        body.destroy();
        return { bytes, range: null, body: null };
      }
      const wanted = parseRange(range, bytes);
      if (wanted === null) return { bytes, range: null, body };
      if (wanted === 'unsatisfiable') {
        body.destroy();
        throw new RangeUnsatisfiable(bytes);
      }
      return { bytes, range: wanted, body: Readable.from(sliceOf(body, wanted.first, wanted.last)) };
    },
    carriersOf: (broadcast) =>
      nodes()
        .filter((node) => node.id === broadcast.worker || node.encodes?.[broadcast.id] !== undefined)
        .map((node) => node.id),
  };
}

/** A node that does not answer does not have it; only the caller's own leaving is passed on. */
const unlessLeft =
  (signal: AbortSignal) =>
  (thrown: unknown): null => {
    if (signal.aborted || !(thrown instanceof AppError)) throw thrown;
    return null;
  };

/** Workers answer whole objects; a broken fill goes on by Range. */
async function* sliceOf(body: Readable, first: number, last: number): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const slice = chunk.subarray(Math.max(0, first - at), Math.max(0, last + 1 - at));
    at += chunk.byteLength;
    if (slice.byteLength > 0) yield slice;
    if (at > last) return;
  }
}

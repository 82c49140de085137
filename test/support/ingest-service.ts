// The ingest role inside the test's process, on free ports, over a real Redis and a real store; and the other roles' view of it.
import { pickIngestConfig } from '../../ingest/config.ts';
import { createIngest } from '../../ingest/service.ts';
import { hashKey } from '../../ingest/stream-keys.ts';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { createRecords, type Records } from '../../platform/adapters/records.ts';
import { createRedis, type RedisConnection } from '../../platform/adapters/redis.ts';
import { type BroadcastId, type NodeId, newId, randomText, type StreamId } from '../../platform/contract/ids.ts';
import { NodeInfo } from '../../platform/contract/nodes.ts';
import type { BroadcastRecord, StreamRecord } from '../../platform/contract/records.ts';
import { nodesKey } from '../../platform/contract/redis-keys.ts';
import { RING_KINDS, RingDecoder, type RingFrame } from '../../platform/contract/ring.ts';
import { headers } from '../../platform/contract/routes.ts';
import { parseSettings } from '../../platform/contract/settings.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics, type Metrics } from '../../platform/runtime/metrics.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { recordingLogger } from './api-parts.ts';
import type { FlvFileTag, RtmpClient } from './rtmp-client.ts';

export const INTERNAL_SECRET = 'internal-secret-of-these-tests-0123456789';

export type RunningIngest = {
  node: NodeId;
  rtmpPort: number;
  url: string;
  privateUrl: string;
  logLines: string[];
  metrics: Metrics;
  stop(): Promise<void>;
};

/** @param settings HEADWATER_* and REDIS_URL, as in the environment */
export async function startIngest(settings: Record<string, string>): Promise<RunningIngest> {
  const parsed = parseSettings({
    HEADWATER_INTERNAL_SECRET: INTERNAL_SECRET,
    HEADWATER_BIND: '127.0.0.1',
    HEADWATER_RTMP_PORT: '0',
    ...settings,
  });
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const node = newId<NodeId>();
  const logLines: string[] = [];
  const metrics = createMetrics(false);
  const log = recordingLogger(logLines);
  const service = createIngest(pickIngestConfig(parsed.settings), { role: 'ingest', node, log, metrics });
  await service.start();
  const addresses = service.addresses();
  return {
    node,
    rtmpPort: Number(/:(\d+)\/live$/.exec(addresses.public_url ?? '')?.[1]),
    url: addresses.url,
    privateUrl: addresses.private_url,
    logLines,
    metrics,
    async stop() {
      await service.drain?.();
      await service.close();
    },
  };
}

/** What the api and the workers see: records and Redis. */
export type Backstage = {
  redis: RedisConnection;
  records: Records;
  /** A stream with fresh keys. */
  addStream(fields?: Partial<StreamRecord>): Promise<{ id: StreamId; key: string; backupKey: string }>;
  broadcastOf(stream: StreamId): Promise<BroadcastRecord | null>;
  /** What an ingest node says of itself in the registry. */
  said(node: NodeId): Promise<NodeInfo | null>;
  close(): Promise<void>;
};

export async function openBackstage(redisUrl: string, dataDir: string): Promise<Backstage> {
  const parsed = parseSettings({ HEADWATER_DATA_DIR: dataDir });
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const redis = createRedis(redisUrl, silentLogger);
  await redis.start();
  const storage = openStorage(parsed.settings, silentLogger);
  const records = createRecords(storage, redis, silentLogger);
  return {
    redis,
    records,
    async addStream(fields = {}) {
      const key = randomText(24);
      const backupKey = randomText(24);
      const now = Date.now();
      const id = newId<StreamId>();
      await records.create('stream', {
        version: 1,
        id,
        status: 'enabled',
        created_at: now,
        updated_at: now,
        title: '',
        description: '',
        latency_mode: 'default',
        transcode: 'ladder',
        redundancy: 'standby',
        record: true,
        dvr_window_s: null,
        use_slate: false,
        reconnect_window_s: 60,
        key_hash: hashKey(key),
        key_rotated_at: now,
        backup_key_hash: hashKey(backupKey),
        old_keys: [],
        playback_ids: [],
        new_asset_settings: { playback_policies: ['public'], title: '', description: '' },
        broadcast_id: null,
        ...fields,
      });
      return { id, key, backupKey };
    },
    async broadcastOf(stream) {
      const id = (await records.get('stream', stream))?.value.broadcast_id ?? null;
      return id === null ? null : ((await records.get('broadcast', id))?.value ?? null);
    },
    async said(node) {
      const text = (await redis.client.hGetAll(nodesKey('ingest')))[node];
      return text === undefined ? null : NodeInfo.parse(JSON.parse(text));
    },
    async close() {
      await redis.close();
      await storage.close();
    },
  };
}

/** What an encoder sends first: metadata and both sequence headers. */
export function sendHeaders(client: RtmpClient): void {
  client.metadata({ width: 320, height: 180 });
  client.tag({ type: 9, timestamp: 0, body: Buffer.from([0x17, 0, 0, 0, 0, 1, 2, 3]) });
  client.tag({ type: 8, timestamp: 0, body: Buffer.from([0xaf, 0, 0x12, 0x10]) });
}

/** `text` as the payload of a video frame. */
export const pictureTag = (timestamp: number, text: string, isKey = false): FlvFileTag => ({
  type: 9,
  timestamp,
  body: Buffer.concat([Buffer.from([isKey ? 0x17 : 0x27, 1, 0, 0, 0]), Buffer.from(text)]),
});

/** The texts of pictureTag() that a ring handed out. */
export const textsOf = (ring: RingConnection): string[] =>
  ring
    .of(RING_KINDS.video)
    .map((found) => Buffer.from(found.payload).subarray(5).toString())
    .filter((text) => /^[a-z0-9 ]+$/.test(text));

/** Asks again every 25 ms: for what is seen in records and Redis, which tell nobody. */
export async function eventually<T>(what: string, look: () => Promise<T | null | false>, ms = 10_000): Promise<T> {
  const deadline = performance.now() + ms;
  while (true) {
    const found = await look();
    if (found !== null && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await delay(25);
  }
}

/** A worker's connection to a ring. */
export class RingConnection {
  readonly frames: RingFrame[] = [];
  readonly status: number;
  /** `end`: closed after all; `cut`: broken off. */
  over: 'end' | 'cut' | null = null;
  private readonly stopper: AbortController;

  private constructor(status: number, stopper: AbortController) {
    this.status = status;
    this.stopper = stopper;
  }

  static async open(
    url: string,
    broadcast: BroadcastId | string,
    query: string,
    secret = INTERNAL_SECRET,
  ): Promise<RingConnection> {
    const stopper = new AbortController();
    const answer = await fetch(`${url}/ring/${broadcast}?${query}`, {
      headers: { [headers.internal]: secret },
      signal: stopper.signal,
    });
    const made = new RingConnection(answer.status, stopper);
    if (answer.status === 200 && answer.body !== null) void made.read(answer.body);
    else await answer.body?.cancel();
    return made;
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new RingDecoder();
    try {
      for await (const chunk of body) this.frames.push(...decoder.push(chunk));
      this.over = 'end';
    } catch {
      this.over = 'cut';
    }
  }

  /** Frames of a kind. */
  of(kind: number): RingFrame[] {
    return this.frames.filter((frame) => frame.kind === kind);
  }

  close(): void {
    this.stopper.abort();
  }
}

/** A ring that answers: a record names a node a moment before its ring is open. */
export const openRing = (node: { url: string }, broadcast: string, query = 'from=start'): Promise<RingConnection> =>
  eventually('the ring', async () => {
    const ring = await RingConnection.open(node.url, broadcast, query);
    return ring.status === 200 ? ring : null;
  });

// The spool: live media goes to the store, and to this worker's disk while the store is away or slow, where viewers' origins fetch it.
// What was accepted is stored later, in order, by this process or by the next one on the same DATA_DIR.
import { keyEtag, ObjectMissing, type ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, NodeId } from '../platform/contract/ids.ts';
import type { ObjectKey } from '../platform/contract/object-keys.ts';
import { TimedOut } from '../platform/runtime/errors.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Metrics } from '../platform/runtime/metrics.ts';
import { delay, type Loop, repeat, within } from '../platform/runtime/waits.ts';
import { JobInterrupted, SpoolFull } from './errors.ts';
import { contentTypeOf, putImmutable } from './immutable-put.ts';
import type { MediaStore, PlacedAt } from './live-media-store.ts';
import { StoreBreaker } from './live-spool-breaker.ts';
import { type SpooledFile, SpoolFolder } from './live-spool-folder.ts';
import { createSpoolMetrics, type SpoolGauges, type SpoolMetrics } from './live-spool-metrics.ts';
import { namesOthers, type SpoolItem, SpoolUploader } from './live-spool-uploader.ts';

/** An object as the route for origins answers it. */
export type SpooledObject = { etag: string; contentType: string; bytes: number; body(): Promise<Buffer> };

export type SpoolOptions = {
  dataDir: string;
  node: NodeId;
  /** Most bytes on the disk; 0: no spool. */
  limitBytes: number;
};

/** A store that takes longer than this is slow. Unit: ms. */
const SLOW_MS = 250;
/** Limit of one put. Unit: ms. */
const PUT_LIMIT_MS = 10_000;
/** Origins ask the worker first for what was accepted here: stored objects stay a little longer. Unit: ms. */
const KEPT_MS = 10_000;
const MEMORY_BYTES = 32 * 1024 * 1024;
const SWEEP_MS = 2_000;
const ADOPT_EVERY_MS = 60_000;
/** Away for longer than this is an alarm, repeated at most this often. Unit: ms. */
const ALARM_MS = 2_000;
const REPORT_EVERY_MS = 10_000;

export class LiveSpool implements MediaStore, Component {
  readonly #options: SpoolOptions;
  readonly #storage: Pick<ObjectStorage, 'put' | 'read'>;
  readonly #log: Logger;
  readonly #folder: SpoolFolder;
  readonly #breaker: StoreBreaker;
  readonly #uploader: SpoolUploader;
  readonly #metrics: SpoolMetrics;
  readonly #items = new Map<ObjectKey, SpoolItem>();
  /** Objects by content that are not stored yet. */
  readonly #waiting = new Map<string, number>();
  /** Puts under way. */
  readonly #puts = new Set<AbortController>();
  #bytes = 0;
  #memory: SpoolItem[] = [];
  #memoryBytes = 0;
  #changeWaiters: (() => void)[] = [];
  #loop: Loop | null = null;
  #adoptedAt = Number.NEGATIVE_INFINITY;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(
    options: SpoolOptions,
    storage: Pick<ObjectStorage, 'put' | 'read'>,
    deps: { metrics: Metrics; log: Logger },
  ) {
    this.#options = options;
    this.#storage = storage;
    this.#log = deps.log;
    this.#folder = new SpoolFolder(options.dataDir, options.node, deps.log);
    this.#metrics = createSpoolMetrics(deps.metrics, () => this.#gauges());
    this.#breaker = new StoreBreaker((isOpen, ms) => {
      if (isOpen) this.#uploader.caution();
      this.#log.info(isOpen ? 'live media goes to the disk' : 'store has caught up', isOpen ? {} : { ms });
    });
    this.#uploader = new SpoolUploader({
      put: (item) => this.#upload(item),
      done: (item) => this.#settleItem(item),
      failed: (thrown) => {
        this.#breaker.failed();
        this.#log.debug('object not stored yet', { err: thrown });
      },
      caughtUp: () => this.#breaker.caughtUp(),
    });
  }

  async start(): Promise<void> {
    await this.#folder.open();
    await this.#adopt();
    this.#loop = repeat(
      SWEEP_MS,
      () => this.#sweep(),
      (thrown) => this.#log.warn('spool not swept', { err: thrown }),
    );
  }

  /** Ends at once; what waits stays on the disk for the next process. */
  async close(): Promise<void> {
    await this.#loop?.close();
    if (this.#loop === null) return;
    this.#loop = null;
    const ended = this.#uploader.close();
    for (const put of this.#puts) put.abort(new JobInterrupted('the worker is closing'));
    await ended;
    const left = [...this.#items.values()].filter((item) => item.storedAt === null).length;
    if (left > 0) this.#log.warn('objects stay on the disk for the next process', { objects: left });
    for (const item of this.#items.values()) if (item.storedAt !== null) await this.#folder.remove(item.file);
    await this.#folder.close();
  }

  async put(key: ObjectKey, bytes: Uint8Array): Promise<PlacedAt> {
    if (this.#options.limitBytes === 0) {
      await this.#direct(key, bytes);
      return 'store';
    }
    if (this.#items.has(key)) return 'worker';
    const isAfterOthers = namesOthers(key) && this.#waiting.has(contentIn(key));
    if (this.#breaker.isOpen || isAfterOthers) return this.#keep(key, bytes, null);
    const trial = this.#direct(key, bytes).then(
      () => true,
      () => false,
    );
    const outcome = await within(trial, SLOW_MS, 'the store').catch(() => 'late' as const);
    if (outcome === true) {
      this.#breaker.quick();
      return 'store';
    }
    if (outcome === 'late') this.#breaker.slow();
    else this.#breaker.failed();
    return this.#keep(key, bytes, outcome === 'late' ? trial : null);
  }

  /** One controller for limit and close: many a second are made, and combined signals are not cheap. */
  async #direct(key: ObjectKey, bytes: Uint8Array): Promise<void> {
    const ending = new AbortController();
    const limit = setTimeout(() => ending.abort(new TimedOut('the store', PUT_LIMIT_MS)), PUT_LIMIT_MS);
    this.#puts.add(ending);
    try {
      await putImmutable(this.#storage, key, bytes, { signal: ending.signal });
    } finally {
      clearTimeout(limit);
      this.#puts.delete(ending);
    }
  }

  /** Accepts an object on the disk. Without room the store has the last word. */
  async #keep(key: ObjectKey, bytes: Uint8Array, trial: Promise<boolean> | null): Promise<PlacedAt> {
    if (!(await this.#makeRoom(bytes.length))) return this.#putWithoutRoom(key, bytes, trial);
    this.#bytes += bytes.length;
    try {
      const file = await this.#folder.write(key, bytes);
      this.#accept(file, bytes, trial);
      this.#metrics.spooled.add();
      return 'worker';
    } catch (thrown) {
      this.#bytes -= bytes.length;
      this.#report('disk takes no live media', { err: thrown });
      return this.#putWithoutRoom(key, bytes, trial);
    }
  }

  async #putWithoutRoom(key: ObjectKey, bytes: Uint8Array, trial: Promise<boolean> | null): Promise<PlacedAt> {
    this.#report('spool is full: publishers wait', { bytes: this.#bytes, limit_bytes: this.#options.limitBytes });
    if (trial !== null && (await trial)) return 'store';
    try {
      await this.#direct(key, bytes);
      return 'store';
    } catch (thrown) {
      throw new SpoolFull(this.#bytes, this.#options.limitBytes, { cause: thrown });
    }
  }

  #report(message: string, fields: Record<string, unknown>): void {
    if (performance.now() - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = performance.now();
    this.#log.error(message, fields);
  }

  /** Stored objects that are only kept for late askers give way. */
  async #makeRoom(bytes: number): Promise<boolean> {
    if (this.#bytes + bytes > this.#options.limitBytes) {
      for (const item of this.#items.values()) if (item.storedAt !== null) await this.#drop(item);
    }
    return this.#bytes + bytes <= this.#options.limitBytes;
  }

  #accept(file: SpooledFile, body: Uint8Array | null, trial: Promise<boolean> | null): void {
    const content = contentIn(file.key);
    const item: SpoolItem = { file, content, at: performance.now(), storedAt: null, body, trial };
    this.#items.set(file.key, item);
    this.#waiting.set(content, (this.#waiting.get(content) ?? 0) + 1);
    if (body !== null) this.#hold(item, body.length);
    this.#uploader.add(item);
  }

  #hold(item: SpoolItem, bytes: number): void {
    this.#memory.push(item);
    this.#memoryBytes += bytes;
    while (this.#memoryBytes > MEMORY_BYTES) {
      const oldest = this.#memory.shift();
      if (oldest === undefined) break;
      this.#memoryBytes -= oldest.body?.length ?? 0;
      oldest.body = null;
    }
  }

  async #upload(item: SpoolItem): Promise<void> {
    const isStored = item.trial !== null && (await item.trial);
    item.trial = null;
    if (!isStored) await this.#direct(item.file.key, item.body ?? (await this.#folder.read(item.file)));
  }

  #settleItem(item: SpoolItem): void {
    item.storedAt = performance.now();
    const left = (this.#waiting.get(item.content) ?? 1) - 1;
    if (left > 0) this.#waiting.set(item.content, left);
    else this.#waiting.delete(item.content);
    const waiters = this.#changeWaiters;
    this.#changeWaiters = [];
    for (const waiter of waiters) waiter();
  }

  async #sweep(): Promise<void> {
    const now = performance.now();
    for (const item of this.#items.values()) {
      if (item.storedAt !== null && now - item.storedAt > KEPT_MS) await this.#drop(item);
    }
    const gauges = this.#gauges();
    if (this.#breaker.openMs > ALARM_MS || gauges.oldestS > 2 * PUT_LIMIT_MS) {
      this.#report('store is away: live media waits on the disk', { ...gauges, limit_bytes: this.#options.limitBytes });
    }
    if (now - this.#adoptedAt < ADOPT_EVERY_MS) return;
    await this.#folder.touch();
    await this.#adopt();
  }

  async #drop(item: SpoolItem): Promise<void> {
    if (!this.#items.delete(item.file.key)) return;
    this.#bytes -= item.file.bytes;
    if (item.body !== null) {
      this.#memoryBytes -= item.body.length;
      item.body = null;
      this.#memory = this.#memory.filter((held) => held !== item);
    }
    await this.#folder.remove(item.file);
  }

  async #adopt(): Promise<void> {
    this.#adoptedAt = performance.now();
    for (const file of await this.#folder.adopt()) {
      this.#bytes += file.bytes;
      this.#accept(file, null, null);
    }
  }

  async read(key: ObjectKey): Promise<Buffer> {
    const own = await this.#readOwn(key);
    if (own !== null) return own;
    try {
      return (await this.#storage.read(key)).body;
    } catch (thrown) {
      if (!(thrown instanceof ObjectMissing)) throw thrown;
      // A worker of this machine that died may have left it here.
      await this.#adopt();
      const adopted = await this.#readOwn(key);
      if (adopted === null) throw thrown;
      return adopted;
    }
  }

  async #readOwn(key: ObjectKey): Promise<Buffer | null> {
    const item = this.#items.get(key);
    if (item === undefined) return null;
    if (item.body !== null) return Buffer.from(item.body.buffer, item.body.byteOffset, item.body.byteLength);
    return this.#folder.read(item.file).catch(() => null);
  }

  isWaiting(key: ObjectKey): boolean {
    return this.#items.get(key)?.storedAt === null;
  }

  waiting(content: ContentId): number {
    return this.#waiting.get(content) ?? 0;
  }

  async settle(content: ContentId, limitMs: number): Promise<number> {
    const limit = new AbortController();
    const over = delay(limitMs, limit.signal);
    const until = performance.now() + limitMs;
    while (this.waiting(content) > 0 && performance.now() < until) {
      await Promise.race([new Promise<void>((resolve) => this.#changeWaiters.push(resolve)), over]);
    }
    limit.abort();
    return this.waiting(content);
  }

  /** What the route for origins answers; null: not here. */
  find(key: ObjectKey): SpooledObject | null {
    const item = this.#items.get(key);
    if (item === undefined) return null;
    const body = async () => (await this.#readOwn(key)) ?? Promise.reject(new ObjectMissing(key));
    return { etag: keyEtag(key), contentType: contentTypeOf(key), bytes: item.file.bytes, body };
  }

  #gauges(): SpoolGauges {
    let objects = 0;
    let bytes = 0;
    let oldest = performance.now();
    for (const item of this.#items.values()) {
      if (item.storedAt !== null) continue;
      objects += 1;
      bytes += item.file.bytes;
      oldest = Math.min(oldest, item.at);
    }
    return { objects, bytes, oldestS: (performance.now() - oldest) / 1_000, isAway: this.#breaker.isOpen };
  }
}

/** Content that a media or index key belongs to. */
const contentIn = (key: string): string => key.split('/')[1] ?? '';

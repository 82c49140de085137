// The spool's rules, over a store whose answers the test gives and a real folder.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ObjectConflict, ObjectMissing, StorageUnavailable } from '../platform/adapters/storage.ts';
import { type ContentId, type NodeId, newId, type RenditionName, type WriterTag } from '../platform/contract/ids.ts';
import { indexBlockKey, type ObjectKey, segmentKey } from '../platform/contract/object-keys.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { createMetrics, type Metrics } from '../platform/runtime/metrics.ts';
import { tempDir } from '../test/support/temp.ts';
import { waitUntil } from '../test/support/wait-until.ts';
import { SpoolFull } from './errors.ts';
import { LiveSpool } from './live-spool.ts';
import { StoreBreaker } from './live-spool-breaker.ts';
import { keyOfName, spoolName } from './live-spool-folder.ts';

const CONTENT = 'contentAAAAAAAAAAAAAAA' as ContentId;
const key = (msn: number): ObjectKey =>
  segmentKey({
    content: CONTENT,
    rendition: 'v360' as RenditionName,
    epoch: 0,
    msn,
    writer: 'writeraaaa' as WriterTag,
  });
const bytes = (msn: number): Buffer => Buffer.from(`segment ${msn}`);

/** A store that answers, fails or lets wait, as the test says; keys in the order in which they were stored. */
class TestStore {
  readonly stored = new Map<string, Buffer>();
  state: 'there' | 'away' | 'silent' = 'there';
  tries = 0;
  #waiters: (() => void)[] = [];

  async put(name: ObjectKey, body: unknown, options: { signal?: AbortSignal }): Promise<string> {
    this.tries += 1;
    options.signal?.throwIfAborted();
    if (this.state === 'silent') {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
        options.signal?.addEventListener('abort', () => resolve());
      });
    }
    options.signal?.throwIfAborted();
    if (this.state === 'away') throw new StorageUnavailable(`store ${name}`);
    if (this.stored.has(name)) throw new ObjectConflict(name);
    this.stored.set(name, Buffer.from(body as Buffer));
    return '';
  }
  async read(name: ObjectKey): Promise<{ etag: string; body: Buffer }> {
    const body = this.stored.get(name);
    if (body === undefined) throw new ObjectMissing(name);
    return { etag: '', body };
  }
  answer(): void {
    this.state = 'there';
    for (const waiter of this.#waiters) waiter();
  }
}

let dataDir: string;
let store: TestStore;
let metrics: Metrics;
let spool: LiveSpool;

const open = async (limitBytes = 1_000_000): Promise<LiveSpool> => {
  metrics = createMetrics(false);
  const opened = new LiveSpool({ dataDir, node: newId<NodeId>(), limitBytes }, store, { metrics, log: silentLogger });
  await opened.start();
  return opened;
};
const files = async (): Promise<string[]> => {
  const folders = await readdir(join(dataDir, 'spool'));
  const names = await Promise.all(folders.map((folder) => readdir(join(dataDir, 'spool', folder))));
  return names.flat().sort();
};

beforeEach(async () => {
  dataDir = await tempDir('spool');
  store = new TestStore();
  spool = await open();
});
afterEach(() => spool.close());

describe('a store that answers', () => {
  test('gets every object, and the disk none', async () => {
    expect(await spool.put(key(1), bytes(1))).toBe('store');
    expect(store.stored.get(key(1))).toEqual(bytes(1));
    expect(await files()).toEqual([]);
    expect(spool.find(key(1))).toBeNull();
  });

  test('may hold the key already', async () => {
    store.stored.set(key(1), bytes(1));
    expect(await spool.put(key(1), bytes(1))).toBe('store');
  });
});

describe('a store that is away', () => {
  test('gets all objects later, in order, and answers are served meanwhile', async () => {
    store.state = 'away';
    for (const msn of [1, 2, 3]) expect(await spool.put(key(msn), bytes(msn))).toBe('worker');
    expect([spool.waiting(CONTENT), spool.isWaiting(key(2))]).toEqual([3, true]);
    expect(await spool.read(key(2))).toEqual(bytes(2));
    expect(spool.find(key(2))).toMatchObject({ bytes: bytes(2).length, contentType: 'video/mp4' });
    expect((await files()).map(keyOfName)).toEqual([key(1), key(2), key(3)]);
    expect(await metrics.expose()).toContain('headwater_live_spool_objects 3');
    store.state = 'there';
    expect(await spool.settle(CONTENT, 5_000)).toBe(0);
    expect([...store.stored]).toEqual([1, 2, 3].map((msn) => [key(msn), bytes(msn)]));
    // Origins that were told to ask here still may.
    expect(await spool.find(key(2))?.body()).toEqual(bytes(2));
    expect(spool.isWaiting(key(2))).toBe(false);
  });

  test('is left alone but for one try at a time', async () => {
    store.state = 'away';
    for (let msn = 0; msn < 20; msn += 1) await spool.put(key(msn), bytes(msn));
    expect(store.tries).toBeLessThan(5);
  });

  test('is used again when it has caught up', async () => {
    store.state = 'away';
    await spool.put(key(1), bytes(1));
    store.state = 'there';
    await spool.settle(CONTENT, 5_000);
    expect(await spool.put(key(2), bytes(2))).toBe('store');
  });

  test('gets an index block after the media that it names', async () => {
    store.state = 'away';
    const block = indexBlockKey(CONTENT, 0, 0);
    await spool.put(key(1), bytes(1));
    await spool.put(block, Buffer.from('{}'));
    await spool.put(key(2), bytes(2));
    store.state = 'there';
    await spool.settle(CONTENT, 5_000);
    const order = [...store.stored.keys()];
    expect(order.indexOf(block)).toBeGreaterThan(order.indexOf(key(1)));
  });

  test('lets nothing in that the disk has no room for', async () => {
    await spool.close();
    spool = await open(2 * bytes(1).length);
    store.state = 'away';
    await spool.put(key(1), bytes(1));
    await spool.put(key(2), bytes(2));
    await expect(spool.put(key(3), bytes(3))).rejects.toThrow(SpoolFull);
    expect(spool.isWaiting(key(3))).toBe(false);
    store.state = 'there';
    await spool.settle(CONTENT, 5_000);
    expect(await spool.put(key(3), bytes(3))).toBe('store');
  });

  test('without a spool stops everything', async () => {
    await spool.close();
    spool = await open(0);
    store.state = 'away';
    await expect(spool.put(key(1), bytes(1))).rejects.toThrow(StorageUnavailable);
    expect(await files()).toEqual([]);
  });
});

describe('a store that is slow', () => {
  test('keeps its first put, which the disk bridges', async () => {
    store.state = 'silent';
    expect(await spool.put(key(1), bytes(1))).toBe('worker');
    store.answer();
    expect(await spool.settle(CONTENT, 5_000)).toBe(0);
    expect(store.tries).toBe(1);
  });

  test('is away after a second of slow answers', async () => {
    store.state = 'silent';
    for (const msn of [1, 2, 3, 4, 5]) await spool.put(key(msn), bytes(msn));
    const tries = store.tries;
    const began = performance.now();
    expect(await spool.put(key(6), bytes(6))).toBe('worker');
    expect(performance.now() - began).toBeLessThan(200);
    expect(store.tries).toBe(tries);
    store.answer();
    expect(await spool.settle(CONTENT, 5_000)).toBe(0);
  });
});

describe('a worker that comes after', () => {
  test('stores what an ended one left on the disk', async () => {
    store.state = 'away';
    for (const msn of [1, 2]) await spool.put(key(msn), bytes(msn));
    await spool.close();
    expect(await files()).toHaveLength(2);
    store.state = 'there';
    spool = await open();
    await spool.settle(CONTENT, 5_000);
    expect([...store.stored.keys()].sort()).toEqual([key(1), key(2)]);
  });

  test('leaves the folder of a living process alone, and throws half-written files away', async () => {
    const other = join(dataDir, 'spool', 'elsewhere--1--nodeAAAAAAAAAAAAAAAAAA');
    await mkdir(other, { recursive: true });
    await writeFile(join(other, spoolName(1, key(7))), bytes(7));
    await spool.close();
    spool = await open();
    expect(spool.isWaiting(key(7))).toBe(false);
    expect(await files()).toEqual([spoolName(1, key(7))]);
  });

  test('finds a part that a dead one left when it is asked for it', async () => {
    store.state = 'away';
    const dead = await open();
    await dead.put(key(9), bytes(9));
    await dead.close();
    expect(await spool.read(key(9))).toEqual(bytes(9));
    store.state = 'there';
    await waitUntil('it is stored', () => store.stored.has(key(9)));
  });
});

test('names of files hold order and key, and nothing else is believed', () => {
  const name = spoolName(12, key(3));
  expect(name).toBe(`000000000012~media~${CONTENT}~v360~0~s3.writeraaaa.m4s`);
  expect(keyOfName(name)).toBe(key(3));
  for (const wrong of ['x', '000000000012~..~x', '000000000012~a~.hidden', '12~a']) expect(keyOfName(wrong)).toBeNull();
});

test('the breaker opens at a failure or after a second without a quick answer, and says how long it was open', () => {
  const changes: [boolean, number][] = [];
  let now = 0;
  const breaker = new StoreBreaker(
    (isOpen, ms) => changes.push([isOpen, ms]),
    () => now,
  );
  const slowAt = (ms: number): boolean => {
    now = ms;
    breaker.slow();
    return breaker.isOpen;
  };
  expect([slowAt(0), slowAt(0), slowAt(0), slowAt(900)]).toEqual([false, false, false, false]);
  breaker.quick();
  expect([slowAt(1_500), slowAt(2_400), slowAt(2_500)]).toEqual([false, false, true]);
  now = 6_500;
  expect(breaker.openMs).toBe(4_000);
  breaker.caughtUp();
  breaker.failed();
  breaker.failed();
  expect(changes).toEqual([
    [true, 0],
    [false, 4_000],
    [true, 0],
  ]);
});

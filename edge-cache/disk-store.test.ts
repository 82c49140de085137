// What is written, what is read, what gives way, and that a disk in trouble costs nobody more than a request to an origin.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Logger, silentLogger } from '../platform/runtime/log.ts';
import { createMetrics } from '../platform/runtime/metrics.ts';
import type { ObjectFiles } from './disk-folder.ts';
import { nameOf } from './disk-format.ts';
import { DiskStore } from './disk-store.ts';
import { DiskFileBroken } from './errors.ts';
import { createFailureLog } from './failure-log.ts';
import { type CachedObject, MemoryStore } from './memory-store.ts';

const KIB = 1_024;
/** With head and checksum: 8 KiB of blocks. */
const object = (text = 'body', arrivedMs = 0, freshMs = 86_400_000): CachedObject => ({
  headers: { 'content-type': 'video/mp4' },
  body: Buffer.alloc(5 * KIB, text),
  etag: '"e"',
  arrivedMs,
  freshUntilMs: arrivedMs + freshMs,
  staleUntilMs: arrivedMs + freshMs,
});

afterEach(() => void vi.useRealTimers());

type Disk = ObjectFiles & {
  held: Map<string, Buffer>;
  /** What each call fails with; null: none. */
  readFault: Error | null;
  writeFault: Error | null;
  scanFault: Error | null;
  /** Calls wait for it. */
  gate: Promise<void>;
};

function memoryDisk(): Disk {
  const held = new Map<string, Buffer>();
  return {
    held,
    readFault: null,
    writeFault: null,
    scanFault: null,
    gate: Promise.resolve(),
    async scan(found) {
      if (this.scanFault !== null) throw this.scanFault;
      let modifiedAt = held.size;
      // Newest first: the store has to bring them into order.
      for (const [name, file] of [...held].reverse()) {
        modifiedAt -= 1;
        await found({ name, bytes: file.length, modifiedAt: modifiedAt * 3_600_000 });
      }
    },
    async write(name, head, body) {
      await this.gate;
      if (this.writeFault !== null) throw this.writeFault;
      held.set(name, Buffer.concat([head, body]));
      return head.length + body.length;
    },
    async read(name) {
      await this.gate;
      if (this.readFault !== null) throw this.readFault;
      const file = held.get(name);
      if (file === undefined) throw fault('ENOENT');
      return file;
    },
    remove: async (name) => void held.delete(name),
  };
}

const fault = (code: string): Error => Object.assign(new Error(code), { code });
/** Lets what needs no time come to its end. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

function diskWorld(limitBytes: number, disk = memoryDisk(), memory = new MemoryStore(1_000 * KIB), maxObjects = 1_000) {
  let nowMs = 0;
  const clocks = { now: () => nowMs, wallMs: () => 1_700_000_000_000 + nowMs };
  const metrics = createMetrics(false);
  const told: string[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (event) => void told.push(event),
    info: (event) => void told.push(event),
  };
  const failures = createFailureLog(log, 1_000, clocks.now);
  const store = new DiskStore({ files: disk, limitBytes, maxObjects, room: memory, clocks, metrics, log, failures });
  return {
    disk,
    store,
    memory,
    told,
    pass: (ms: number) => {
      nowMs += ms;
    },
    async put(...keys: string[]) {
      for (const key of keys) store.offer(key, object(key, nowMs));
      await settle();
    },
    holds: (...keys: string[]) => keys.map((key) => disk.held.has(nameOf(key))),
    async count(name: string, outcome?: string): Promise<number> {
      const start = `headwater_edge_disk_${name}${outcome === undefined ? '' : `{outcome="${outcome}"}`} `;
      const line = (await metrics.expose()).split('\n').find((text) => text.startsWith(start));
      return Number(line?.slice(start.length) ?? 0);
    },
  };
}

async function openWorld(limitBytes = 1_000 * KIB, disk = memoryDisk()) {
  const world = diskWorld(limitBytes, disk);
  await world.store.start();
  return world;
}

describe('an object', () => {
  it('is found where it was offered, and wanted in memory from the second look on', async () => {
    const { store, put, memory, count } = await openWorld();
    await put('a');
    expect(await store.find('a')).toEqual({ object: object('a'), isWanted: false });
    expect(await store.find('a')).toMatchObject({ isWanted: true });
    expect(store.find('b')).toBeNull();
    expect(memory.reserved).toBe(0);
    expect([await count('reads_total', 'found'), await count('writes_total', 'stored')]).toEqual([2, 1]);
    expect([await count('objects'), await count('bytes'), await count('writing')]).toEqual([1, 8 * KIB, 1]);
  });

  it('is written once', async () => {
    const { put, count } = await openWorld();
    await put('a', 'a');
    await put('a');
    expect(await count('writes_total', 'stored')).toBe(1);
  });

  it('is forgotten before, while and after it is written', async () => {
    const { store, disk, put, holds, memory } = await openWorld();
    let open = (): void => undefined;
    disk.gate = new Promise((resolve) => {
      open = resolve;
    });
    store.offer('being written', object());
    store.offer('waiting', object());
    await settle();
    store.delete('being written');
    store.delete('waiting');
    open();
    await put('kept');
    store.delete('kept');
    await settle();
    expect(holds('being written', 'waiting', 'kept')).toEqual([false, false, false]);
    expect([store.bytes, memory.reserved]).toEqual([0, 0]);
  });

  it('is dropped when its time is over', async () => {
    const { store, pass, holds, count } = await openWorld();
    store.offer('a', object('a', 0, 1_000));
    await settle();
    pass(1_000);
    expect(await store.find('a')).toBeNull();
    expect([store.find('a'), ...holds('a')]).toEqual([null, false]);
    expect(await count('reads_total', 'expired')).toBe(1);
  });

  it('is left out when it is larger than a quarter of the disk', async () => {
    const { put, holds, count } = await openWorld(31 * KIB);
    await put('a');
    expect([...holds('a'), await count('writes_total', 'skipped')]).toEqual([false, 1]);
  });
});

describe('the limit', () => {
  it('holds, blocks counted, and what was read stays', async () => {
    const { store, put, holds, count } = await openWorld(80 * KIB);
    await put('read');
    await store.find('read');
    for (let i = 0; i < 100; i += 1) {
      await put(`once${i}`);
      expect(store.bytes).toBeLessThanOrEqual(80 * KIB);
    }
    expect(holds('read', 'once0', 'once99')).toEqual([true, false, true]);
    expect(await count('evictions_total')).toBe(91);
  });

  it('of objects holds too, and at a start', async () => {
    const first = diskWorld(1_000 * KIB, memoryDisk(), new MemoryStore(1_000 * KIB), 4);
    await first.store.start();
    for (let i = 0; i < 10; i += 1) await first.put(`k${i}`);
    expect([first.disk.held.size, await first.count('objects')]).toEqual([4, 4]);
    await first.store.close();
    const second = diskWorld(1_000 * KIB, first.disk, new MemoryStore(1_000 * KIB), 3);
    await second.store.start();
    expect([second.disk.held.size, await second.count('objects')]).toEqual([3, 3]);
  });

  it('of bodies for the writer is 64 MiB, however large the memory', async () => {
    const memory = new MemoryStore(1024 ** 3);
    const { store, disk } = diskWorld(1024 ** 3, memoryDisk(), memory);
    await store.start();
    disk.gate = new Promise(() => undefined);
    const large = { ...object(), body: Buffer.alloc(1024 ** 2) };
    for (let i = 0; i < 100; i += 1) store.offer(`k${i}`, large);
    expect(memory.reserved).toBe(65 * 1024 ** 2);
  });

  it('of reads at a time leaves the others to the origins', async () => {
    const { store, disk, put, count } = await openWorld();
    await put('a');
    let open = (): void => undefined;
    disk.gate = new Promise((resolve) => {
      open = resolve;
    });
    const reads = Array.from({ length: 70 }, () => store.find('a'));
    expect(await reads[69]).toBeNull();
    open();
    expect(await reads[63]).not.toBeNull();
    expect(await count('reads_total', 'refused')).toBe(6);
  });

  it('of bodies that wait for the writer holds too', async () => {
    const { store, disk, memory, count } = await openWorld(100_000 * KIB);
    disk.gate = new Promise(() => undefined);
    for (let i = 0; i < 200; i += 1) store.offer(`k${i}`, object());
    expect(memory.reserved).toBe(250 * KIB);
    expect(memory.reserve(500 * KIB)).toBe(true);
    expect(await count('writes_total', 'skipped')).toBe(150);
  });
});

describe('a purge', () => {
  it('takes one content, also what waits for the writer or is under its hand', async () => {
    const { store, disk, put, holds, memory } = await openWorld();
    const [mine, other] = [[1, 2, 3].map((n) => `/v/mine/${n}`), ['/v/other/1', '/v/other/mine']];
    await put(mine[0] ?? '', ...other);
    let open = (): void => undefined;
    disk.gate = new Promise((resolve) => {
      open = resolve;
    });
    for (const key of mine) store.offer(key, object());
    await settle();
    let isPurged = false;
    const purging = store.purge('mine').then((count) => {
      isPurged = true;
      return count;
    });
    await settle();
    expect(isPurged).toBe(false);
    open();
    expect(await purging).toBe(3);
    expect(holds(...mine, ...other)).toEqual([false, false, false, true, true]);
    expect([store.bytes, memory.reserved]).toEqual([16 * KIB, 0]);
  });

  it('is refused until the index is read, and when a file stays', async () => {
    const unopened = diskWorld(100 * KIB);
    await expect(unopened.store.purge('mine')).rejects.toThrow('not open yet');
    const { store, disk, put } = await openWorld();
    await put('/v/mine/1');
    disk.remove = () => Promise.reject(fault('EIO'));
    await expect(store.purge('mine')).rejects.toThrow('cannot be removed');
    expect(store.find('/v/mine/1')).toBeNull();
  });
});

describe('a start', () => {
  it('finds what the last process left, the oldest of it giving way to a smaller limit', async () => {
    const first = await openWorld();
    await first.put('a', 'b', 'c', 'd', 'e', 'f');
    await first.store.close();
    const second = await openWorld(34 * KIB, first.disk);
    expect(second.holds('a', 'b', 'c', 'd', 'e', 'f')).toEqual([false, false, true, true, true, true]);
    expect(await second.store.find('c')).toMatchObject({ object: { body: object('c').body } });
    expect(second.store.find('a')).toBeNull();
    expect(second.store.bytes).toBe(32 * KIB);
  });

  it('waits until what was offered is written when it ends, and takes nothing afterwards', async () => {
    const { store, disk, holds } = await openWorld();
    let open = (): void => undefined;
    disk.gate = new Promise((resolve) => {
      open = resolve;
    });
    store.offer('a', object());
    store.offer('b', object());
    const closing = store.close();
    store.offer('c', object());
    open();
    await closing;
    await store.close();
    await settle();
    expect(holds('a', 'b', 'c')).toEqual([true, true, false]);
  });

  it('goes on without a folder that cannot be read', async () => {
    const world = diskWorld(100 * KIB);
    world.disk.scanFault = fault('EACCES');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const starting = world.store.start();
    await settle();
    world.store.offer('a', object());
    expect(world.store.find('a')).toBeNull();
    expect(await world.count('writing')).toBe(0);
    vi.advanceTimersByTime(1_000);
    await starting;
    await world.store.close();
    expect(world.told).toEqual(['disk cache writes stopped']);
  });
});

describe('a disk in trouble', () => {
  it('that holds a bad file loses it', async () => {
    const { store, disk, put, holds, count, told } = await openWorld();
    await put('a', 'b');
    disk.readFault = new DiskFileBroken('its checksum does not fit');
    expect(await store.find('a')).toBeNull();
    disk.readFault = null;
    expect([store.find('a'), ...holds('a')]).toEqual([null, false]);
    expect(await store.find('b')).not.toBeNull();
    expect(await count('reads_total', 'broken')).toBe(1);
    expect(told).toContain('file of the disk cache dropped');
    await put('a');
    expect(await store.find('a')).not.toBeNull();
  });

  it('that lost a file says so once', async () => {
    const { store, disk, put, count } = await openWorld();
    await put('a', 'b');
    disk.held.delete(nameOf('a'));
    expect([await store.find('a'), store.find('a')]).toEqual([null, null]);
    expect(await store.find('b')).not.toBeNull();
    expect(await count('reads_total', 'gone')).toBe(1);
  });

  it('that cannot be read is left alone for ten seconds, then tried again', async () => {
    const { store, disk, put, pass, holds, count, told } = await openWorld();
    await put('a', 'b');
    disk.readFault = fault('EIO');
    expect(await store.find('a')).toBeNull();
    disk.readFault = null;
    expect([store.find('a'), ...holds('a')]).toEqual([null, false]);
    pass(9_999);
    expect(await store.find('b')).toBeNull();
    pass(1);
    expect(await store.find('b')).not.toBeNull();
    expect([await count('reads_total', 'failed'), await count('reads_total', 'refused')]).toEqual([1, 1]);
    expect(told.slice(-2)).toEqual(['disk cache reads stopped', 'disk cache reads go on']);
  });

  it('that answers no read is given up after a second, its memory only when it lets go', async () => {
    const { store, disk, put, memory, count } = await openWorld();
    await put('a');
    let open = (): void => undefined;
    disk.gate = new Promise((resolve) => {
      open = resolve;
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const reading = store.find('a');
    vi.advanceTimersByTime(1_000);
    expect(await reading).toBeNull();
    expect(await count('reads_total', 'slow')).toBe(1);
    expect(memory.reserved).toBeGreaterThan(5 * KIB);
    open();
    await settle();
    expect(memory.reserved).toBe(0);
  });

  it('that is full takes no writes for ten seconds, then gives one object back and goes on within what is left', async () => {
    const { store, disk, put, pass, holds, count, told } = await openWorld();
    await put('a', 'b', 'c', 'd');
    disk.writeFault = fault('ENOSPC');
    await put('e', 'f');
    expect([await count('writes_total', 'failed'), await count('writes_total', 'skipped')]).toEqual([1, 1]);
    expect([await count('writing'), told.at(-1)]).toEqual([0, 'disk cache writes stopped']);
    disk.writeFault = null;
    expect(await store.find('b')).not.toBeNull();
    pass(9_999);
    await put('e');
    expect(holds('e')).toEqual([false]);
    pass(1);
    await put('e');
    expect(holds('a', 'b', 'c', 'd', 'e')).toEqual([false, true, false, true, true]);
    expect([await count('writing'), told.at(-1)]).toEqual([1, 'disk cache writes go on']);
    await put('f');
    expect(store.bytes).toBe(24 * KIB);
    pass(600_000);
    await put('g');
    expect(store.bytes).toBe(32 * KIB);
  });
});

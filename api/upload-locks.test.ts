// The newest request gets the upload; of several that wait one goes on at a time.
import { expect, test } from 'vitest';
import type { UploadId } from '../platform/contract/ids.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { memoryLeases } from '../test/support/api-parts.ts';
import { UploadBusy } from './errors.ts';
import { createUploadLocks } from './upload-locks.ts';

const UPLOAD = 'A'.repeat(22) as UploadId;

function create() {
  const leases = memoryLeases();
  const asked: string[] = [];
  const locks = createUploadLocks({
    acquire: leases.acquire,
    askRelease: async (id) => void asked.push(id),
    log: silentLogger,
  });
  return { leases, locks, asked };
}

test('a second request asks the first to end, and waits for it', async () => {
  const { locks } = create();
  const order: string[] = [];
  const first = await locks.lock(UPLOAD, () => {
    order.push('first asked');
    queueMicrotask(async () => {
      order.push('first stored its tail');
      await first.unlock();
    });
  });
  const second = await locks.lock(UPLOAD, () => undefined);
  order.push('second has it');
  await second.unlock();
  expect(order).toEqual(['first asked', 'first stored its tail', 'second has it']);
});

test('of many at once never two hold it', async () => {
  const { locks, leases } = create();
  let holding = 0;
  let most = 0;
  const one = async () => {
    let end: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      end = resolve;
    });
    const lock = await locks.lock(UPLOAD, end);
    holding += 1;
    most = Math.max(most, holding);
    await Promise.race([asked, new Promise((resolve) => setImmediate(resolve))]);
    holding -= 1;
    await lock.unlock();
  };
  await Promise.all(Array.from({ length: 8 }, one));
  expect(most).toBe(1);
  expect(leases.held.size).toBe(0);
});

test('a holder in another process is asked once; a request that only waits is not what is meant', async () => {
  const { locks, leases, asked } = create();
  leases.held.set(`upload:${UPLOAD}`, 'elsewhere');
  let isAsked = false;
  const waiting = locks.lock(UPLOAD, () => {
    isAsked = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  locks.release(UPLOAD);
  leases.held.delete(`upload:${UPLOAD}`);
  const lock = await waiting;
  expect([isAsked, asked]).toEqual([false, [UPLOAD]]);
  locks.release(UPLOAD);
  expect(isAsked).toBe(true);
  await lock.unlock();
});

test('a request that is gone does not wait on', async () => {
  const { locks } = create();
  const first = await locks.lock(UPLOAD, () => undefined);
  const gone = new AbortController();
  const second = locks.lock(UPLOAD, () => undefined, gone.signal);
  gone.abort();
  await expect(second).rejects.toBeInstanceOf(UploadBusy);
  await first.unlock();
});

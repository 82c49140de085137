// One request at a time may store bytes of an upload. The newest wins: it asks the older one to end, here or in another api process.
import type { UploadId } from '../platform/contract/ids.ts';
import { leases as leaseNames } from '../platform/contract/redis-keys.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { delay } from '../platform/runtime/waits.ts';
import { UploadBusy } from './errors.ts';

/** A lease as the lock needs it. */
export interface LockLease {
  readonly lost: AbortSignal;
  release(): Promise<void>;
}
export interface LockDeps {
  acquire(name: string, ttlMs: number): Promise<LockLease | null>;
  /** Asks other api processes to let go of the upload. */
  askRelease(upload: UploadId): Promise<void>;
  log: Logger;
}
export interface UploadLock {
  unlock(): Promise<void>;
}
export interface UploadLocks {
  /**
   * @param onTakeover called when a newer request wants the upload, or the lease is lost: end the work, then unlock
   * @throws UploadBusy when the holder does not let go in time
   */
  lock(upload: UploadId, onTakeover: () => void, signal?: AbortSignal): Promise<UploadLock>;
  /** Ends the request of this process that holds the upload, if any. */
  release(upload: UploadId): void;
  /** Resolves when no request of this process holds an upload, at the latest after `ms`. */
  idle(ms: number): Promise<void>;
}

/** A dead process's lease ends after this. Unit: ms. */
const LEASE_TTL_MS = 5_000;
/** Longest wait for the holder to store its tail. Unit: ms. */
const WAIT_MS = 15_000;
const POLL_MS = 50;

/** `isHeld`: has the lease; before that it only waits for it. */
type Holder = { takeover: () => void; released: Promise<void>; isHeld: boolean };

export function createUploadLocks(deps: LockDeps): UploadLocks {
  const holders = new Map<UploadId, Holder>();

  async function waitFor(older: Holder, upload: UploadId, deadline: number, signal?: AbortSignal): Promise<void> {
    older.takeover();
    await Promise.race([older.released, delay(Math.max(0, deadline - Date.now()), signal)]);
    if (holders.get(upload) === older || signal?.aborted) throw new UploadBusy();
  }

  async function takeLease(upload: UploadId, deadline: number, signal?: AbortSignal): Promise<LockLease> {
    let asked = false;
    while (Date.now() < deadline && !signal?.aborted) {
      const lease = await deps.acquire(leaseNames.upload(upload), LEASE_TTL_MS);
      if (lease) return lease;
      if (!asked) await deps.askRelease(upload);
      asked = true;
      await delay(POLL_MS, signal);
    }
    throw new UploadBusy();
  }

  return {
    async lock(upload, onTakeover, signal) {
      const deadline = Date.now() + WAIT_MS;
      // No await between the last look and set(): of several that waited for one holder, one goes on, the others wait for it.
      for (let older = holders.get(upload); older !== undefined; older = holders.get(upload))
        await waitFor(older, upload, deadline, signal);
      let free: () => void = () => undefined;
      const released = new Promise<void>((resolve) => {
        free = resolve;
      });
      const holder: Holder = { takeover: onTakeover, released, isHeld: false };
      holders.set(upload, holder);
      const letGo = () => {
        if (holders.get(upload) === holder) holders.delete(upload);
        free();
      };
      try {
        const lease = await takeLease(upload, deadline, signal);
        holder.isHeld = true;
        lease.lost.addEventListener('abort', onTakeover, { once: true });
        return {
          async unlock() {
            lease.lost.removeEventListener('abort', onTakeover);
            try {
              await lease.release();
            } catch (thrown) {
              deps.log.warn('upload lease not released; it runs out by itself', { upload, err: thrown });
            } finally {
              letGo();
            }
          },
        };
      } catch (thrown) {
        letGo();
        throw thrown;
      }
    },
    release(upload) {
      // The asking process hears its own request too: who only waits is not meant.
      const holder = holders.get(upload);
      if (holder?.isHeld) holder.takeover();
    },
    async idle(ms) {
      const all = Promise.all([...holders.values()].map((holder) => holder.released));
      const limit = new AbortController();
      await Promise.race([all, delay(ms, limit.signal)]);
      limit.abort();
    },
  };
}

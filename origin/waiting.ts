// Requests that wait for a timeline to grow: each looks again whenever something changes, none of them polls.
import { OriginDraining } from './errors.ts';

type Waiter = { look(): boolean; leave(thrown: unknown): void };

/** Those who wait for one broadcast. */
export class Waiting {
  private readonly waiters = new Set<Waiter>();
  private isReleased = false;

  count(): number {
    return this.waiters.size;
  }

  /** Something has changed: everybody looks again. */
  wake(): void {
    for (const waiter of this.waiters) if (waiter.look()) this.waiters.delete(waiter);
  }

  /** Everybody leaves with OriginDraining, and so does who comes later. */
  release(): void {
    this.isReleased = true;
    for (const waiter of this.waiters) waiter.leave(new OriginDraining());
    this.waiters.clear();
  }

  /**
   * Waits until `look` finds something.
   * @param look null: not yet. Called at once and at every change; must not throw
   * @param limitMs longest wait
   * @param signal the caller has left
   * @returns null when the limit has passed or the caller has left
   * @throws OriginDraining
   */
  async until<T>(look: () => T | null, limitMs: number, signal: AbortSignal): Promise<T | null> {
    const found = look();
    if (found !== null) return found;
    if (this.isReleased) throw new OriginDraining();
    if (signal.aborted) return null;
    return await new Promise<T | null>((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        this.waiters.delete(waiter);
        settle();
      };
      const waiter: Waiter = {
        look() {
          const value = look();
          if (value !== null) end(() => resolve(value));
          return value !== null;
        },
        leave: (thrown) => end(() => reject(thrown)),
      };
      const giveUp = () => end(() => resolve(null));
      const timer = setTimeout(giveUp, limitMs);
      signal.addEventListener('abort', giveUp, { once: true });
      this.waiters.add(waiter);
    });
  }
}

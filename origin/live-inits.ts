// Initialisation segments of running broadcasts, kept in memory: a viewer who changes the rendition while the store is away needs one
// that nobody may have asked for before.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import { initKey, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import { dropOldest } from '../platform/runtime/bounded-map.ts';

/** One is about 1 KB. */
const KEPT = 4_000;
/** Of the epochs that a viewer near the live edge may still play. */
const EPOCHS = 2;
const RETRY_MS = 1_000;

export class LiveInits {
  private readonly storage: Pick<ObjectStorage, 'read'>;
  private readonly now: () => number;
  /** In the order in which they were asked for. A number: not there yet; when it may be tried again, monotonic ms. */
  private readonly held = new Map<ObjectKey, Buffer | number>();

  constructor(storage: Pick<ObjectStorage, 'read'>, now: () => number = () => performance.now()) {
    this.storage = storage;
    this.now = now;
  }

  /** Reads what is not held yet of the newest epochs. Cheap when everything is. */
  note(broadcast: BroadcastRecord): void {
    for (const { epoch, renditions } of broadcast.epochs.slice(-EPOCHS)) {
      for (const { name } of renditions) {
        const key = initKey({ content: broadcast.content_id, rendition: name, epoch });
        const known = this.held.get(key) ?? 0;
        if (typeof known === 'number' && known <= this.now()) void this.read(key);
      }
    }
  }

  /** @returns null when it is not held */
  get(key: ObjectKey): Buffer | null {
    const known = this.held.get(key);
    return known === undefined || typeof known === 'number' ? null : known;
  }

  private async read(key: ObjectKey): Promise<void> {
    this.held.set(key, this.now() + RETRY_MS);
    dropOldest(this.held, KEPT);
    try {
      this.held.set(key, (await this.storage.read(key)).body);
    } catch {
      // Not stored yet, or the store is away: the next note tries again, and requests for it report their own failure.
    }
  }
}

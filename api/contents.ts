// Who still needs a content's objects: broadcasts, assets, clips. The content record's conditional put decides every race between a new
// holder and the leaving of the last one; whoever takes the last holder out removes the objects.
import type { Records } from '../platform/adapters/records.ts';
import { ObjectConflict, type ObjectStorage } from '../platform/adapters/storage.ts';
import type { AssetId, BroadcastId, ContentId } from '../platform/contract/ids.ts';
import { indexPrefix, mediaPrefix, type ObjectKey } from '../platform/contract/object-keys.ts';
import type { ContentRecord } from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';

export type Holder = AssetId | BroadcastId;
export type ContentsDeps = {
  records: Pick<Records, 'get' | 'create' | 'update' | 'remove'>;
  storage: Pick<ObjectStorage, 'list' | 'delete'>;
  /** Drops the live timeline of a broadcast's content. */
  removeTimeline: (content: ContentId) => Promise<void>;
  log: Logger;
};

export interface Contents {
  /**
   * Adds a holder, before the holder's own record is written.
   * @param founders who holds the content where it has no record yet (uploads get one with their first clip)
   * @returns false when the objects are leaving or gone
   */
  hold(content: ContentId, holder: Holder, founders: Holder[]): Promise<boolean>;
  isHeldBy(content: ContentId, holder: Holder): Promise<boolean>;
  /** Takes a holder out; the objects go with the last one. Harmless when repeated. @throws StorageUnavailable: call it again */
  leave(content: ContentId, holder: Holder): Promise<void>;
  /** The rest of leave() for a record that says `deleting`. Harmless when repeated. */
  finishRemoval(content: ContentId): Promise<void>;
}

const DELETE_BATCH = 500;
/** Lost races over the first record of a content; each means that another writer got on. */
const TRIES = 10;

/** Deletes every object below a prefix, some at a time. @throws StorageUnavailable */
export async function removePrefix(storage: Pick<ObjectStorage, 'list' | 'delete'>, prefix: string): Promise<void> {
  let batch: ObjectKey[] = [];
  for await (const entry of storage.list(prefix)) {
    batch.push(entry.key);
    if (batch.length < DELETE_BATCH) continue;
    await storage.delete(batch);
    batch = [];
  }
  if (batch.length > 0) await storage.delete(batch);
}

class StoredContents implements Contents {
  private readonly deps: ContentsDeps;

  constructor(deps: ContentsDeps) {
    this.deps = deps;
  }

  /** @returns false when somebody else made the record first */
  private async found(id: ContentId, status: ContentRecord['status'], holders: Holder[]): Promise<boolean> {
    const now = Date.now();
    try {
      await this.deps.records.create('content', { version: 1, id, status, created_at: now, updated_at: now, holders });
      return true;
    } catch (thrown) {
      if (thrown instanceof ObjectConflict) return false;
      throw thrown;
    }
  }

  async hold(content: ContentId, holder: Holder, founders: Holder[]): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const after = await this.deps.records.update('content', content, (record) =>
        record.status === 'deleting' || record.holders.includes(holder)
          ? null
          : { ...record, holders: [...record.holders, holder] },
      );
      if (after !== null) return after.value.status === 'kept';
      if (await this.found(content, 'kept', [...new Set([...founders, holder])])) return true;
    }
    throw new ObjectConflict(content);
  }

  async isHeldBy(content: ContentId, holder: Holder): Promise<boolean> {
    const record = (await this.deps.records.get('content', content))?.value;
    return record?.status === 'kept' && record.holders.includes(holder);
  }

  async leave(content: ContentId, holder: Holder): Promise<void> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const after = await this.deps.records.update('content', content, (record) => {
        if (record.status === 'deleting') return null;
        const holders = record.holders.filter((other) => other !== holder);
        return { ...record, holders, status: holders.length === 0 ? 'deleting' : 'kept' };
      });
      // Without a record the holder was alone; the record that says `deleting` keeps a clip from coming in meanwhile.
      if (after === null && !(await this.found(content, 'deleting', []))) continue;
      if (after === null || after.value.status === 'deleting') await this.finishRemoval(content);
      return;
    }
    throw new ObjectConflict(content);
  }

  async finishRemoval(content: ContentId): Promise<void> {
    const { records, storage, log } = this.deps;
    await removePrefix(storage, mediaPrefix(content));
    await removePrefix(storage, indexPrefix(content));
    try {
      await this.deps.removeTimeline(content);
    } catch (thrown) {
      log.debug('timeline left to expire', { content, reason: messageOf(thrown) });
    }
    // The broadcast's record describes the objects, so it goes with them, and before the content's: a clip that comes late looks for it.
    if ((await records.get('broadcast', content)) !== null) await records.remove('broadcast', content);
    await records.remove('content', content);
    log.info('content deleted', { content });
  }
}

/** Contents over the records and the store. */
export const createContents = (deps: ContentsDeps): Contents => new StoredContents(deps);

// Objects of on-demand attempts: what this attempt has stored and not yet named, and the sweep of what no record names.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, UploadId } from '../platform/contract/ids.ts';
import {
  imageKey,
  indexPrefix,
  initKey,
  mediaPrefix,
  type ObjectKey,
  renditionIndexKey,
  uploadPrefix,
} from '../platform/contract/object-keys.ts';
import type { AssetRecord } from '../platform/contract/records.ts';
import type { MediaStore } from './packager.ts';

/** A store that remembers what was put through it until the record names it. */
export class TrackedStore implements MediaStore {
  readonly #store: MediaStore;
  #unnamed: ObjectKey[] = [];

  constructor(store: MediaStore) {
    this.#store = store;
  }

  put: MediaStore['put'] = (key, body, options) => {
    // Remembered before the put: one whose answer is lost may be stored all the same.
    this.#unnamed.push(key);
    return this.#store.put(key, body, options);
  };

  /** The record names everything put so far. */
  named(): void {
    this.#unnamed = [];
  }
  /** Keys that nothing names. */
  get unnamed(): readonly ObjectKey[] {
    return this.#unnamed;
  }
}

/** Whether a ready asset's record names an object of its content. */
export function isNamed(asset: AssetRecord, key: string): boolean {
  const content = asset.content_id;
  const isOfRendition = asset.renditions.some((entry) => {
    const folder = initKey({ content, rendition: entry.name, epoch: entry.epoch }).replace(/init\.mp4$/, '');
    return key.startsWith(folder) || key === renditionIndexKey(content, entry.name, entry.writer);
  });
  if (isOfRendition) return true;
  return asset.images_writer !== null && key.startsWith(imageKey(content, '', asset.images_writer));
}

const DELETE_BATCH = 500;
type Sweeper = Pick<ObjectStorage, 'list' | 'delete'>;

async function removeWhere(store: Sweeper, prefix: string, isUnwanted: (key: string) => boolean): Promise<number> {
  let batch: ObjectKey[] = [];
  let removed = 0;
  const flush = async () => {
    if (batch.length > 0) await store.delete(batch);
    removed += batch.length;
    batch = [];
  };
  for await (const { key } of store.list(prefix)) {
    if (!isUnwanted(key)) continue;
    batch.push(key);
    if (batch.length >= DELETE_BATCH) await flush();
  }
  await flush();
  return removed;
}

/**
 * Tidies up after a ready asset: what attempts that lost have left, and the chunks of the upload. Harmless when run again.
 * @returns number of objects removed
 */
export async function tidyUp(store: Sweeper, asset: AssetRecord): Promise<number> {
  const isUnwanted = (key: string) => !isNamed(asset, key);
  const content: ContentId = asset.content_id;
  const losers = await removeWhere(store, mediaPrefix(content), isUnwanted);
  const tables = await removeWhere(store, indexPrefix(content), isUnwanted);
  const upload: UploadId | null = asset.source.type === 'upload' ? asset.source.upload_id : null;
  const chunks = upload === null ? 0 : await removeWhere(store, uploadPrefix(upload), () => true);
  return losers + tables + chunks;
}

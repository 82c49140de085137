// The asset record in the hands of one attempt: every write is conditional on the attempt's term, so a worker that has lost the asset
// changes nothing.
import type { EventBus } from '../platform/adapters/event-bus.ts';
import type { Records } from '../platform/adapters/records.ts';
import type { AssetId, RenditionName, WriterTag } from '../platform/contract/ids.ts';
import type { AssetError, AssetRecord, StoredRendition } from '../platform/contract/records.ts';
import { MediaRefused, OwnershipLost } from './errors.ts';

/** What is used of the records adapter. */
export type AssetRecords = Pick<Records, 'get' | 'update'>;
export type EventPublisher = Pick<EventBus, 'publish'>;

/** Why a job for this asset has nothing to do; null: there is work. */
export function whyIdle(asset: AssetRecord | null): string | null {
  if (asset === null) return 'the asset is gone';
  if (asset.source.type !== 'upload') return 'the asset is not an upload';
  if (!asset.source.complete) return 'the upload is not complete';
  return asset.status === 'preparing' ? null : `the asset is ${asset.status}`;
}

export class AssetOwner {
  readonly id: AssetId;
  readonly term: number;
  readonly #records: AssetRecords;
  readonly #events: EventPublisher;

  constructor(id: AssetId, term: number, records: AssetRecords, events: EventPublisher) {
    this.id = id;
    this.term = term;
    this.#records = records;
    this.#events = events;
  }

  /** @throws OwnershipLost when the record has moved on; MediaRefused CANCELLED when somebody asked to stop */
  check(asset: AssetRecord | null): AssetRecord {
    const idle = whyIdle(asset);
    if (asset === null || idle !== null) throw new OwnershipLost(this.id, idle ?? 'the asset is gone');
    if (asset.term !== this.term) throw new OwnershipLost(this.id, `its term is ${asset.term}, not ${this.term}`);
    if (asset.cancel_requested) throw new MediaRefused('CANCELLED', 'the transcode was cancelled');
    return asset;
  }

  /** Reads the record and checks it; for watching between writes. */
  async verify(): Promise<void> {
    this.check((await this.#records.get('asset', this.id))?.value ?? null);
  }

  async #change(change: (asset: AssetRecord) => AssetRecord, isFinal = false): Promise<AssetRecord> {
    let fault: unknown = null;
    const stored = await this.#records.update('asset', this.id, (asset) => {
      fault = null;
      try {
        this.check(asset);
      } catch (thrown) {
        const isCancelled = thrown instanceof MediaRefused;
        if (!(isCancelled && isFinal)) {
          fault = thrown;
          return null;
        }
      }
      return change(asset);
    });
    if (fault !== null) throw fault;
    if (stored === null) throw new OwnershipLost(this.id, 'the asset is gone');
    await this.#events.publish({ type: 'asset', id: this.id });
    return stored.value;
  }

  /** Keeps what the probe found. */
  plan(input: AssetRecord['input'], planned: RenditionName[]): Promise<AssetRecord> {
    return this.#change((asset) => ({ ...asset, input, planned }));
  }
  /** From here on viewers may play the rendition. */
  addRendition(entry: StoredRendition): Promise<AssetRecord> {
    return this.#change((asset) => ({
      ...asset,
      renditions: [...asset.renditions.filter((other) => other.name !== entry.name), entry],
    }));
  }
  setImages(writer: WriterTag): Promise<AssetRecord> {
    return this.#change((asset) => ({ ...asset, images_writer: writer }));
  }
  /** The one write that makes the asset ready. @param imageBytes pictures beside the renditions */
  finish(imageBytes: number): Promise<AssetRecord> {
    return this.#change((asset) => ({
      ...asset,
      status: 'ready',
      errors: null,
      duration_s: Math.max(...asset.renditions.map((entry) => entry.duration_s)),
      size_bytes: asset.renditions.reduce((sum, entry) => sum + entry.bytes, imageBytes),
    }));
  }
  fail(errors: AssetError): Promise<AssetRecord> {
    return this.#change((asset) => ({ ...asset, status: 'errored', errors }), true);
  }

  /**
   * Takes the asset: raises its term by one.
   * @returns the owner and the record, or the reason why there is nothing to do
   */
  static async take(
    id: AssetId,
    records: AssetRecords,
    events: EventPublisher,
  ): Promise<{ owner: AssetOwner; asset: AssetRecord } | { idle: string }> {
    let idle: string | null = null;
    const stored = await records.update('asset', id, (asset) => {
      idle = whyIdle(asset);
      return idle === null ? { ...asset, term: asset.term + 1 } : null;
    });
    if (stored === null) return { idle: 'the asset is gone' };
    if (idle !== null) return { idle };
    return { owner: new AssetOwner(id, stored.value.term, records, events), asset: stored.value };
  }
}

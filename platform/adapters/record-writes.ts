// Writes the index after each change of a record. A Redis that comes back, or the one that takes its place, may have lost the newest
// writes (a log synced once a second, a replica behind its master, a network split), so those of the last minute are made again.
import type { RecordKind } from '../contract/object-keys.ts';
import { recordIndexKey } from '../contract/redis-keys.ts';
import type { Logger } from '../runtime/log.ts';
import {
  type AnyRecord,
  addToList,
  anyRecord,
  applyChange,
  changeOf,
  type IndexClient,
  isEmpty,
} from './record-index.ts';
import type { GetRecord } from './record-scan.ts';

/** From one version of a record to another; null: no record. `etag`: of the version after. */
export type RecordChange = {
  kind: RecordKind;
  id: string;
  before: AnyRecord | null;
  after: AnyRecord | null;
  etag: string | null;
};

/** Longer than a failover takes and a replica lags. Unit: ms. */
const REMEMBERED_MS = 60_000;
/** More changes than this within that time: the whole index is made anew instead. */
const REMEMBERED = 1_000;
const FOLLOW_TRIES = 20;

export type RecordWritesParts = { client: IndexClient; get: GetRecord; log: Logger; now: () => number };

export class RecordWrites {
  /** The index missed a change, or may have: it has to be made anew. */
  isDirty = false;
  readonly #parts: RecordWritesParts;
  /** The newest last. */
  readonly #recent: { at: number; change: RecordChange }[] = [];
  #forgotAt = Number.NEGATIVE_INFINITY;

  /** @param parts `now`: steady clock, ms */
  constructor(parts: RecordWritesParts) {
    this.#parts = parts;
  }

  /** The record is stored already, so a fault here must not look like a failed write. */
  async write(change: RecordChange): Promise<void> {
    this.#remember(change);
    await this.#write(change);
  }

  async #write(change: RecordChange): Promise<void> {
    const { kind, id } = change;
    try {
      await this.#apply(change);
    } catch (thrown) {
      if (!this.isDirty) this.#parts.log.warn('index not written, rebuild will follow', { kind, id, err: thrown });
      this.isDirty = true;
    }
  }

  /** Redis was away or is another one: all that it was told lately is told again. */
  async repeat(): Promise<void> {
    const now = this.#parts.now();
    this.#forgetOld(now);
    if (now - this.#forgotAt <= REMEMBERED_MS) {
      // The rebuild writes all of them.
      this.isDirty = true;
      return;
    }
    for (const { change } of [...this.#recent]) await this.#write(change);
  }

  /** Each change by itself: what one version had and the next had not is to be removed again too. */
  #remember(change: RecordChange): void {
    const { before, after } = change;
    if (before !== null && after !== null && isEmpty(changeOf(before, after))) return;
    const now = this.#parts.now();
    this.#forgetOld(now);
    this.#recent.push({ at: now, change });
    if (this.#recent.length <= REMEMBERED) return;
    this.#recent.shift();
    this.#forgotAt = now;
  }

  #forgetOld(now: number): void {
    const kept = this.#recent.findIndex(({ at }) => now - at <= REMEMBERED_MS);
    this.#recent.splice(0, kept < 0 ? this.#recent.length : kept);
  }

  async #apply({ kind, id, before, after, etag }: RecordChange): Promise<void> {
    const { client } = this.#parts;
    if (after === null) {
      await client.zRem(recordIndexKey(kind), id);
      if (before !== null) await applyChange(client, changeOf(before, null));
      return;
    }
    if (before === null) await addToList(client, after);
    await this.#follow(before, after, etag);
  }

  /**
   * Brings the hashes from `before` to `after`. Another writer may have been quicker with a later version: then on to that one,
   * so that the last to write the index writes what is stored.
   */
  async #follow(before: AnyRecord | null, after: AnyRecord, etag: string | null): Promise<void> {
    const { client, get } = this.#parts;
    let change = changeOf(before, after);
    let known = { record: after, etag };
    for (let tries = 0; tries < FOLLOW_TRIES && !isEmpty(change); tries += 1) {
      await applyChange(client, change);
      const { kind, value } = known.record;
      const now = await get(kind, value.id);
      if (now?.etag === known.etag) return;
      if (now === null) return applyChange(client, changeOf(known.record, null));
      const record = anyRecord(kind, now.value);
      change = changeOf(known.record, record);
      known = { record, etag: now.etag };
    }
  }
}

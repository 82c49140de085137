// Keys of a live stream: made, reset, rotated. Each is shown once; records keep hashes alone, and ingest reads those from the index.
import { randomText, type StreamId } from '../platform/contract/ids.ts';
import type { KeyKind, StreamRecord } from '../platform/contract/records.ts';
import type { Versioned } from './assets.ts';
import { NotAllowedNow } from './errors.ts';
import { hashOf } from './uploads.ts';

export type MadeKey = Versioned<StreamRecord> & { streamKey: string; key: KeyKind };
export interface StreamKeyring {
  /** A new primary key; all earlier ones are refused at once and their publisher is cut off. @throws NotFound */
  resetPrimary(id: StreamId): Promise<MadeKey>;
  /** The same for the backup key; makes it where there is none. @throws NotFound */
  resetBackup(id: StreamId): Promise<MadeKey>;
  /**
   * A new key; the present one is accepted for `graceS` more seconds, so that encoders can change over without a break.
   * @throws NotFound NotAllowedNow without a key to rotate, or with too many rotated keys that still work
   */
  rotate(id: StreamId, key: KeyKind, graceS: number): Promise<MadeKey>;
  /** Takes expired keys out of the record. */
  dropExpired(id: StreamId): Promise<void>;
}
export type StreamKeyringDeps = {
  /** One conditional change of the stream's record. @throws NotFound */
  change(id: StreamId, change: (stream: StreamRecord) => StreamRecord): Promise<Versioned<StreamRecord>>;
  /** Ingest reads the key set anew, and cuts off whoever came with a hash that is no longer in it. */
  announce(id: StreamId): Promise<void>;
};

/** Rotated keys that a stream may have at a time. */
const OLD_KEYS = 8;

/** A stream key: 190 bits, letters and digits alone, so that it survives every form field. */
export const newStreamKey = (): string => randomText(32);

const unexpired = (stream: StreamRecord, now: number) => stream.old_keys.filter(({ until }) => until > now);

const withKey = (stream: StreamRecord, key: KeyKind, hash: string, now: number): StreamRecord =>
  key === 'primary' ? { ...stream, key_hash: hash, key_rotated_at: now } : { ...stream, backup_key_hash: hash };

/** The record with a new key in place, all earlier keys of that kind forgotten. */
function withResetKey(stream: StreamRecord, key: KeyKind, hash: string, now: number): StreamRecord {
  const old_keys = unexpired(stream, now).filter((old) => old.key !== key);
  return { ...withKey(stream, key, hash, now), old_keys };
}

/** The record with a new key in place, the one before accepted until `until` (ms since the epoch). @throws NotAllowedNow */
function withRotatedKey(
  stream: StreamRecord,
  key: KeyKind,
  hash: string,
  times: { now: number; until: number },
): StreamRecord {
  const before = key === 'primary' ? stream.key_hash : stream.backup_key_hash;
  if (before === null) throw new NotAllowedNow('this live stream has no backup key: make one first');
  const old = unexpired(stream, times.now);
  if (old.length >= OLD_KEYS)
    throw new NotAllowedNow(`${OLD_KEYS} rotated keys of this live stream still work: wait, or reset the key`);
  const old_keys = times.until > times.now ? [...old, { hash: before, key, until: times.until }] : old;
  return { ...withKey(stream, key, hash, times.now), old_keys };
}

export function createStreamKeyring(deps: StreamKeyringDeps): StreamKeyring {
  const replace = async (
    id: StreamId,
    key: KeyKind,
    change: (stream: StreamRecord, hash: string) => StreamRecord,
  ): Promise<MadeKey> => {
    const streamKey = newStreamKey();
    const hash = hashOf(streamKey);
    const after = await deps.change(id, (stream) => change(stream, hash));
    await deps.announce(id);
    return { ...after, streamKey, key };
  };
  const reset = (id: StreamId, key: KeyKind) =>
    replace(id, key, (stream, hash) => withResetKey(stream, key, hash, Date.now()));
  return {
    resetPrimary: (id) => reset(id, 'primary'),
    resetBackup: (id) => reset(id, 'backup'),
    rotate: (id, key, graceS) =>
      replace(id, key, (stream, hash) => {
        const now = Date.now();
        return withRotatedKey(stream, key, hash, { now, until: now + graceS * 1_000 });
      }),
    async dropExpired(id) {
      await deps.change(id, (stream) => ({ ...stream, old_keys: unexpired(stream, Date.now()) }));
    },
  };
}

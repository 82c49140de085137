// Stream keys in memory: SHA-256 of each key -> stream, which of its keys, until when. Read anew every two seconds, at each hint and after a
// Redis reconnect.
import { createHash } from 'node:crypto';
import type { StreamId } from '../platform/contract/ids.ts';
import { indexMarkerKey, streamKeyIndexKey } from '../platform/contract/redis-keys.ts';
import { parseStreamKeyEntry, type StreamKeyEntry } from '../platform/contract/stream-keys.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { type Loop, repeat } from '../platform/runtime/waits.ts';

/** The part of Redis that the key set reads. */
export interface KeySource {
  get(key: string): Promise<string | null>;
  hGetAll(key: string): Promise<Record<string, string>>;
}

/** What a key opens: a stream, as its primary or backup publisher. */
export type FoundKey = Pick<StreamKeyEntry, 'stream' | 'key'> & { hash: string };

export interface StreamKeys extends Component {
  /** The stream a key publishes to, at once. */
  find(key: string): FoundKey | null;
  /** Whether a hash found earlier still opens this stream. */
  holds(hash: string, stream: StreamId): boolean;
  /** Reads the set now; what Redis cannot vouch for changes nothing. Never throws. */
  reload(): Promise<void>;
  /** Called after each read that changed the set, or after which a rotated key has expired. */
  onChange(listener: () => void): void;
  /** A whole set was read at least once. */
  isLoaded(): boolean;
}

/** SHA-256 (hex), as StreamRecord.key_hash. */
export const hashKey = (key: string): string => createHash('sha256').update(key).digest('hex');

const POLL_MS = 2_000;
const REPORT_EVERY_MS = 30_000;

/**
 * @param source Redis; while it is away, or its index is being rebuilt, the last good set stands
 * @param now wall clock, ms: rotated keys expire by it
 */
export function createStreamKeys(source: KeySource, log: Logger, now: () => number = Date.now): StreamKeys {
  let known: Map<string, StreamKeyEntry> | null = null;
  let told: string | null = null;
  let loop: Loop | null = null;
  let reading: Promise<void> | null = null;
  let reportedAt = Number.NEGATIVE_INFINITY;
  const listeners: (() => void)[] = [];

  const isInForce = (entry: StreamKeyEntry): boolean => entry.until === null || entry.until > now();
  const entryOf = (hash: string): StreamKeyEntry | null => {
    const entry = known?.get(hash);
    return entry !== undefined && isInForce(entry) ? entry : null;
  };
  const tell = (entries: Map<string, StreamKeyEntry>): void => {
    const inForce = [...entries].filter(([, entry]) => isInForce(entry));
    const text = JSON.stringify(inForce.map(([hash, { stream }]) => [hash, stream]).sort());
    if (text === told) return;
    told = text;
    for (const listener of listeners) listener();
  };
  const read = async (): Promise<void> => {
    // The marker is written last by a rebuild and vanishes with the rest: seen before and after, the hash between is whole.
    if ((await source.get(indexMarkerKey)) === null) return;
    const hash = await source.hGetAll(streamKeyIndexKey);
    if ((await source.get(indexMarkerKey)) === null) return;
    const fresh = new Map<string, StreamKeyEntry>();
    for (const [key, value] of Object.entries(hash)) {
      const entry = parseStreamKeyEntry(value);
      if (entry !== null) fresh.set(key, entry);
    }
    known = fresh;
  };
  const report = (thrown: unknown): void => {
    if (performance.now() - reportedAt < REPORT_EVERY_MS) return;
    reportedAt = performance.now();
    log.warn('stream keys not read', { reason: messageOf(thrown) });
  };
  const readOnce = async (): Promise<void> => {
    try {
      await read();
    } catch (thrown) {
      report(thrown);
    }
    // A rotated key expires also while Redis is away.
    if (known !== null) tell(known);
  };
  const reload = async (): Promise<void> => {
    // A read that is under way may have passed the change that the caller knows of: wait for it, then read again.
    while (reading !== null) await reading;
    reading = readOnce().finally(() => {
      reading = null;
    });
    await reading;
  };
  return {
    find(key) {
      const hash = hashKey(key);
      const entry = entryOf(hash);
      return entry === null ? null : { stream: entry.stream, key: entry.key, hash };
    },
    holds: (hash, stream) => entryOf(hash)?.stream === stream,
    reload,
    onChange: (listener) => void listeners.push(listener),
    isLoaded: () => known !== null,
    async start() {
      await reload();
      loop = repeat(POLL_MS, reload, report);
    },
    async close() {
      await loop?.close();
      loop = null;
    },
  };
}

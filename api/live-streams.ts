// Live streams: records with a hashed key. Ingest learns of changes by events and by its own polls.

import type { Records } from '../platform/adapters/records.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import { newId, randomText, type StreamId } from '../platform/contract/ids.ts';
import type { LatencyMode } from '../platform/contract/latency.ts';
import type { NewAssetSettings, PlaybackPolicy, StreamRecord } from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Versioned } from './assets.ts';
import { NotFound } from './errors.ts';
import type { Presence } from './presence.ts';
import { hashOf, playbackIdsFor } from './uploads.ts';
import { replaceRecord, requireMatch } from './versions.ts';
import type { StreamState } from './views.ts';

export type StreamsDeps = {
  records: Pick<Records, 'get' | 'create' | 'update' | 'replace' | 'remove' | 'list'>;
  presence: Presence;
  publish: (event: PlatformEvent) => Promise<void>;
  reconnectWindowS: number;
  log: Logger;
};
export type NewStream = {
  title: string;
  description: string;
  latency_mode: LatencyMode;
  playback_policies: PlaybackPolicy[];
  new_asset_settings: NewAssetSettings;
  reconnect_window?: number | undefined;
};
export type StreamChanges = {
  title?: string | undefined;
  description?: string | undefined;
  latency_mode?: LatencyMode | undefined;
  new_asset_settings?: NewAssetSettings | undefined;
  reconnect_window?: number | undefined;
};

export interface LiveStreams {
  /** @returns the record and its key, shown this once */
  create(request: NewStream): Promise<Versioned<StreamRecord> & { streamKey: string }>;
  /** @throws NotFound, also while it is being deleted */
  get(id: StreamId): Promise<Versioned<StreamRecord>>;
  list(limit: number, cursor: string | null): Promise<{ values: StreamRecord[]; nextCursor: string | null }>;
  state(stream: StreamRecord): Promise<StreamState>;
  /** @throws IfMatchRequired VersionStale NotFound */
  change(id: StreamId, changes: StreamChanges, ifMatch: string | null): Promise<Versioned<StreamRecord>>;
  /** A new key; the old one is refused at once and its publisher cut off. */
  resetKey(id: StreamId): Promise<Versioned<StreamRecord> & { streamKey: string }>;
  setEnabled(id: StreamId, isEnabled: boolean): Promise<Versioned<StreamRecord>>;
  /** Cuts the publisher off and removes the stream; recordings stay. */
  remove(id: StreamId): Promise<void>;
  /** The rest of remove() for a record that says `deleting`. @returns false while its broadcast still runs */
  finishRemoval(stream: StreamRecord): Promise<boolean>;
}

/** A stream key: 190 bits, letters and digits alone, so that it survives every form field. */
const newStreamKey = (): string => randomText(32);

function recordFor(request: NewStream, streamKey: string, reconnectWindowS: number): StreamRecord {
  const now = Date.now();
  return {
    version: 1,
    id: newId<StreamId>(),
    status: 'enabled',
    created_at: now,
    updated_at: now,
    title: request.title,
    description: request.description,
    latency_mode: request.latency_mode,
    reconnect_window_s: request.reconnect_window ?? reconnectWindowS,
    key_hash: hashOf(streamKey),
    key_rotated_at: now,
    playback_ids: playbackIdsFor({ ...request.new_asset_settings, playback_policies: request.playback_policies }),
    new_asset_settings: request.new_asset_settings,
    broadcast_id: null,
  };
}

async function announce(deps: StreamsDeps, events: PlatformEvent[]): Promise<void> {
  for (const event of events) {
    try {
      await deps.publish(event);
    } catch (thrown) {
      deps.log.warn('event not published; readers poll', { event: event.type, reason: messageOf(thrown) });
    }
  }
}

async function getStream(deps: StreamsDeps, id: StreamId): Promise<Versioned<StreamRecord>> {
  const found = await deps.records.get('stream', id);
  if (!found || found.value.status === 'deleting') throw new NotFound('live stream');
  return found;
}

async function updateStream(
  deps: StreamsDeps,
  id: StreamId,
  change: (stream: StreamRecord) => StreamRecord,
): Promise<Versioned<StreamRecord>> {
  const after = await deps.records.update('stream', id, (s) => (s.status === 'deleting' ? null : change(s)));
  if (!after || after.value.status === 'deleting') throw new NotFound('live stream');
  return after;
}

async function isOnAir(deps: StreamsDeps, stream: StreamRecord): Promise<boolean> {
  if (stream.broadcast_id === null) return false;
  const broadcast = await deps.records.get('broadcast', stream.broadcast_id);
  return broadcast !== null && broadcast.value.status !== 'ended';
}

async function finishRemoval(deps: StreamsDeps, stream: StreamRecord): Promise<boolean> {
  if (await isOnAir(deps, stream)) return false;
  await deps.records.remove('stream', stream.id);
  await announce(deps, [{ type: 'stream-keys' }]);
  deps.log.info('live stream deleted', { stream: stream.id });
  return true;
}

async function removeStream(deps: StreamsDeps, id: StreamId): Promise<void> {
  const before = await getStream(deps, id);
  const after = await deps.records.update('stream', id, (s) =>
    s.status === 'deleting' ? null : { ...s, status: 'deleting' },
  );
  await announce(deps, [{ type: 'stream-keys' }, { type: 'kick', id }, { type: 'stream', id }]);
  await finishRemoval(deps, after?.value ?? before.value);
}

async function changeStream(
  deps: StreamsDeps,
  id: StreamId,
  changes: StreamChanges,
  ifMatch: string | null,
): Promise<Versioned<StreamRecord>> {
  const { value: before, etag: known } = await getStream(deps, id);
  requireMatch(ifMatch, known);
  const value: StreamRecord = {
    ...before,
    title: changes.title ?? before.title,
    description: changes.description ?? before.description,
    latency_mode: changes.latency_mode ?? before.latency_mode,
    new_asset_settings: changes.new_asset_settings ?? before.new_asset_settings,
    reconnect_window_s: changes.reconnect_window ?? before.reconnect_window_s,
    updated_at: Date.now(),
  };
  const etag = await replaceRecord(deps.records, 'stream', value, known);
  await announce(deps, [{ type: 'stream', id }]);
  return { value, etag };
}

export function createLiveStreams(deps: StreamsDeps): LiveStreams {
  return {
    get: (id) => getStream(deps, id),
    finishRemoval: (stream) => finishRemoval(deps, stream),
    change: (id, changes, ifMatch) => changeStream(deps, id, changes, ifMatch),
    remove: (id) => removeStream(deps, id),
    async create(request) {
      const streamKey = newStreamKey();
      const value = recordFor(request, streamKey, deps.reconnectWindowS);
      const etag = await deps.records.create('stream', value);
      await announce(deps, [{ type: 'stream-keys' }, { type: 'stream', id: value.id }]);
      return { value, etag, streamKey };
    },
    async list(limit, cursor) {
      const page = await deps.records.list('stream', { limit, cursor });
      return { ...page, values: page.values.filter((stream) => stream.status !== 'deleting') };
    },
    async state(stream) {
      const status = stream.status === 'disabled' ? 'disabled' : (await isOnAir(deps, stream)) ? 'active' : 'idle';
      const viewerCount = deps.presence.viewers(stream.playback_ids);
      return { status, viewerCount, bitrateBps: deps.presence.bitrate(stream.id) };
    },
    async resetKey(id) {
      const streamKey = newStreamKey();
      const change = { key_hash: hashOf(streamKey), key_rotated_at: Date.now() };
      const after = await updateStream(deps, id, (s) => ({ ...s, ...change }));
      await announce(deps, [{ type: 'stream-keys' }, { type: 'kick', id }]);
      deps.log.info('stream key reset', { stream: id });
      return { ...after, streamKey };
    },
    async setEnabled(id, isEnabled) {
      const after = await updateStream(deps, id, (s) => ({ ...s, status: isEnabled ? 'enabled' : 'disabled' }));
      await announce(deps, [{ type: 'stream-keys' }, { type: 'stream', id }]);
      if (!isEnabled) await announce(deps, [{ type: 'kick', id }]);
      return after;
    },
  };
}

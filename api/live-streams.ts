// Live streams: records, what is on now, and the commands for a running broadcast. Ingest learns of changes by events and by its own polls.

import type { Records } from '../platform/adapters/records.ts';
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import { newId, type StreamId } from '../platform/contract/ids.ts';
import type { LatencyMode } from '../platform/contract/latency.ts';
import { slateKey } from '../platform/contract/object-keys.ts';
import type {
  BroadcastRecord,
  KeyKind,
  NewAssetSettings,
  PlaybackPolicy,
  Redundancy,
  StreamRecord,
  TranscodeMode,
} from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Versioned } from './assets.ts';
import { NotAllowedNow, NotFound } from './errors.ts';
import type { Presence } from './presence.ts';
import { storeSlate } from './slate.ts';
import { createStreamKeyring, newStreamKey, type StreamKeyring } from './stream-keys.ts';
import type { StreamState } from './stream-view.ts';
import { hashOf, playbackIdsFor } from './uploads.ts';
import { replaceRecord, requireMatch } from './versions.ts';

export type StreamsDeps = {
  records: Pick<Records, 'get' | 'create' | 'update' | 'replace' | 'remove' | 'list'>;
  storage: Pick<ObjectStorage, 'put' | 'delete'>;
  presence: Presence;
  publish: (event: PlatformEvent) => Promise<void>;
  /** Makes the recording of an ended broadcast, unless it is made. */
  record: (broadcast: BroadcastRecord) => Promise<unknown>;
  reconnectWindowS: number;
  log: Logger;
};
/** What PATCH may change; a running broadcast keeps what it began with. */
export type StreamChanges = {
  title?: string | undefined;
  description?: string | undefined;
  latency_mode?: LatencyMode | undefined;
  transcode?: TranscodeMode | undefined;
  redundancy?: Redundancy | undefined;
  record?: boolean | undefined;
  dvr_window?: number | null | undefined;
  use_slate?: boolean | undefined;
  new_asset_settings?: NewAssetSettings | undefined;
  reconnect_window?: number | undefined;
};
export type NewStream = {
  title: string;
  description: string;
  latency_mode: LatencyMode;
  transcode: TranscodeMode;
  redundancy: Redundancy;
  record: boolean;
  dvr_window: number | null;
  use_slate: boolean;
  playback_policies: PlaybackPolicy[];
  new_asset_settings: NewAssetSettings;
  reconnect_window?: number | undefined;
};

export interface LiveStreams {
  keys: StreamKeyring;
  /** @returns the record and its key, shown this once */
  create(request: NewStream): Promise<Versioned<StreamRecord> & { streamKey: string }>;
  /** @throws NotFound, also while it is being deleted */
  get(id: StreamId): Promise<Versioned<StreamRecord>>;
  list(limit: number, cursor: string | null): Promise<{ values: StreamRecord[]; nextCursor: string | null }>;
  state(stream: StreamRecord): Promise<StreamState>;
  /** @throws IfMatchRequired VersionStale NotFound */
  change(id: StreamId, changes: StreamChanges, ifMatch: string | null): Promise<Versioned<StreamRecord>>;
  setEnabled(id: StreamId, isEnabled: boolean): Promise<Versioned<StreamRecord>>;
  /** Cuts the publishers off; the broadcast waits its window for the next. */
  kick(id: StreamId): Promise<Versioned<StreamRecord>>;
  /** Ends the running broadcast now; nothing happens without one. */
  complete(id: StreamId): Promise<Versioned<StreamRecord>>;
  /** Goes over to the other encoder at its next key frame. @throws NotAllowedNow */
  switchTo(id: StreamId, key: KeyKind): Promise<Versioned<StreamRecord>>;
  /** Stores the slate picture. @throws RequestInvalid unless it is a JPEG or PNG */
  setSlate(id: StreamId, picture: Buffer): Promise<Versioned<StreamRecord>>;
  removeSlate(id: StreamId): Promise<void>;
  /** Cuts the publisher off and removes the stream; recordings stay. */
  remove(id: StreamId): Promise<void>;
  /** The rest of remove() for a record that says `deleting`. @returns false while its broadcast still runs */
  finishRemoval(stream: StreamRecord): Promise<boolean>;
}

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
    transcode: request.transcode,
    redundancy: request.redundancy,
    record: request.record,
    dvr_window_s: request.dvr_window,
    use_slate: request.use_slate,
    reconnect_window_s: request.reconnect_window ?? reconnectWindowS,
    key_hash: hashOf(streamKey),
    key_rotated_at: now,
    backup_key_hash: null,
    old_keys: [],
    playback_ids: playbackIdsFor(request.playback_policies),
    new_asset_settings: request.new_asset_settings,
    broadcast_id: null,
  };
}

/** The record after a PATCH. */
function changedStream(before: StreamRecord, changes: StreamChanges): StreamRecord {
  return {
    ...before,
    title: changes.title ?? before.title,
    description: changes.description ?? before.description,
    latency_mode: changes.latency_mode ?? before.latency_mode,
    transcode: changes.transcode ?? before.transcode,
    redundancy: changes.redundancy ?? before.redundancy,
    record: changes.record ?? before.record,
    dvr_window_s: changes.dvr_window === undefined ? before.dvr_window_s : changes.dvr_window,
    use_slate: changes.use_slate ?? before.use_slate,
    new_asset_settings: changes.new_asset_settings ?? before.new_asset_settings,
    reconnect_window_s: changes.reconnect_window ?? before.reconnect_window_s,
    updated_at: Date.now(),
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

/** The broadcast that viewers are shown; null when there was none, or it is gone. */
async function broadcastOf(deps: StreamsDeps, stream: StreamRecord): Promise<BroadcastRecord | null> {
  if (stream.broadcast_id === null) return null;
  return (await deps.records.get('broadcast', stream.broadcast_id))?.value ?? null;
}

async function stateOf(deps: StreamsDeps, stream: StreamRecord): Promise<StreamState> {
  const { presence } = deps;
  const broadcast = await broadcastOf(deps, stream);
  const isOnAir = broadcast !== null && broadcast.status !== 'ended';
  return {
    status: stream.status === 'disabled' ? 'disabled' : isOnAir ? 'active' : 'idle',
    broadcast,
    viewerCount: presence.viewers(stream.playback_ids),
    bitrateBps: presence.bitrate(stream.id),
    signal: isOnAir ? presence.signal(stream.id, broadcast.ingest?.node ?? null) : null,
    encodes: isOnAir ? presence.encodes(broadcast.id) : [],
    rtmpsUrl: presence.rtmpsUrl(),
  };
}

async function finishRemoval(deps: StreamsDeps, stream: StreamRecord): Promise<boolean> {
  const broadcast = await broadcastOf(deps, stream);
  if (broadcast !== null && broadcast.status !== 'ended') return false;
  // Recordings stay, and take title and policies from the stream: the last one is made before it goes.
  if (broadcast !== null) await deps.record(broadcast);
  await deps.storage.delete([slateKey(stream.id)]);
  await deps.records.remove('stream', stream.id);
  await announce(deps, [
    { type: 'stream-keys' },
    ...(broadcast === null ? [] : [{ type: 'broadcast', id: broadcast.id } as const]),
  ]);
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

/** A live broadcast on its way to the end, without a publisher; null for one that is there already. */
export const withEnding = (broadcast: BroadcastRecord): BroadcastRecord | null =>
  broadcast.status === 'live'
    ? { ...broadcast, status: 'ending', ingest: null, disconnected_at: broadcast.disconnected_at ?? Date.now() }
    : null;

/** The record says it first: then the end comes also when the ingest is dead or does not hear of it. */
async function completeStream(deps: StreamsDeps, id: StreamId): Promise<Versioned<StreamRecord>> {
  const found = await getStream(deps, id);
  const { broadcast_id: broadcast } = found.value;
  if (broadcast === null) return found;
  let isEnding = false;
  await deps.records.update('broadcast', broadcast, (record) => {
    isEnding = record.status === 'live';
    return withEnding(record);
  });
  if (!isEnding) return found;
  await announce(deps, [
    { type: 'complete', id },
    { type: 'broadcast', id: broadcast },
    { type: 'stream', id },
  ]);
  deps.log.info('broadcast completed', { stream: id, broadcast });
  return found;
}

async function switchStream(deps: StreamsDeps, id: StreamId, key: KeyKind): Promise<Versioned<StreamRecord>> {
  const found = await getStream(deps, id);
  if (key === 'backup' && found.value.backup_key_hash === null)
    throw new NotAllowedNow('this live stream has no backup key: make one, and publish with it');
  const broadcast = await broadcastOf(deps, found.value);
  if (broadcast?.status !== 'live') throw new NotAllowedNow('nothing is on air');
  if (broadcast.ingest?.key === key) return found;
  const signal = deps.presence.signal(id, broadcast.ingest?.node ?? null);
  if (signal !== null && !signal.has_standby) throw new NotAllowedNow(`no encoder publishes with the ${key} key`);
  await announce(deps, [{ type: 'switch', id, to: key }]);
  return found;
}

async function changeStream(
  deps: StreamsDeps,
  id: StreamId,
  changes: StreamChanges,
  ifMatch: string | null,
): Promise<Versioned<StreamRecord>> {
  const { value: before, etag: known } = await getStream(deps, id);
  requireMatch(ifMatch, known);
  const value = changedStream(before, changes);
  const etag = await replaceRecord(deps.records, 'stream', value, known);
  await announce(deps, [{ type: 'stream', id }]);
  return { value, etag };
}

export function createLiveStreams(deps: StreamsDeps): LiveStreams {
  const change = (id: StreamId, how: (stream: StreamRecord) => StreamRecord) => updateStream(deps, id, how);
  return {
    keys: createStreamKeyring({
      change,
      announce: (id) => announce(deps, [{ type: 'stream-keys' }, { type: 'stream', id }]),
    }),
    get: (id) => getStream(deps, id),
    state: (stream) => stateOf(deps, stream),
    finishRemoval: (stream) => finishRemoval(deps, stream),
    change: (id, changes, ifMatch) => changeStream(deps, id, changes, ifMatch),
    complete: (id) => completeStream(deps, id),
    switchTo: (id, key) => switchStream(deps, id, key),
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
    async kick(id) {
      const found = await getStream(deps, id);
      await announce(deps, [{ type: 'kick', id }]);
      return found;
    },
    async setEnabled(id, isEnabled) {
      const after = await change(id, (s) => ({ ...s, status: isEnabled ? 'enabled' : 'disabled' }));
      await announce(deps, [{ type: 'stream-keys' }, { type: 'stream', id }]);
      if (!isEnabled) await announce(deps, [{ type: 'kick', id }]);
      return after;
    },
    async setSlate(id, picture) {
      await getStream(deps, id);
      await storeSlate(deps.storage, id, picture);
      const after = await change(id, (s) => ({ ...s, slate_at: Date.now() }));
      await announce(deps, [{ type: 'stream', id }]);
      return after;
    },
    async removeSlate(id) {
      await change(id, ({ slate_at: _gone, ...rest }) => rest);
      await deps.storage.delete([slateKey(id)]);
      await announce(deps, [{ type: 'stream', id }]);
    },
  };
}

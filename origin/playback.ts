// From a playback id or content id to the records behind it, held in memory for about a second. Says what exists, not what is playable.
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { BroadcastId, ContentId, PlaybackId } from '../platform/contract/ids.ts';
import type { RecordKind } from '../platform/contract/object-keys.ts';
import type {
  AssetRecord,
  BroadcastRecord,
  PlaybackEntry,
  PlaybackPolicy,
  PlaybackTarget,
  RecordOf,
  StreamRecord,
} from '../platform/contract/records.ts';
import { CachedLookup, type LookupLimits } from './cached-lookup.ts';

/** What this file needs of the records adapter. */
export interface RecordSource {
  get<K extends RecordKind>(kind: K, id: string): Promise<{ value: RecordOf[K]; etag: string } | null>;
  playback(id: PlaybackId): Promise<PlaybackTarget | null>;
}

/** What a playback id shows. */
export type Shown =
  | { kind: 'asset'; policy: PlaybackPolicy; asset: AssetRecord }
  | { kind: 'stream'; policy: PlaybackPolicy; stream: StreamRecord; broadcast: BroadcastRecord | null };

/** Whose media a content id names; `public` when any of its playback ids is. */
export type Owner =
  | { kind: 'asset'; policy: PlaybackPolicy; asset: AssetRecord }
  | { kind: 'broadcast'; policy: PlaybackPolicy; stream: StreamRecord; broadcast: BroadcastRecord };

export interface PlaybackDirectory {
  /** @returns null for an id that nobody knows, or of something being deleted */
  playback(id: PlaybackId): Promise<Shown | null>;
  /**
   * Who lets viewers at a content's media objects: the broadcast or asset of that id, else whoever else holds it (recordings, clips).
   * Public when any of them is. @returns null likewise
   */
  content(id: ContentId): Promise<Owner | null>;
  /** Whose media playlists stand below this id: exactly the broadcast or asset that has it. @returns null likewise */
  playlistOwner(id: ContentId): Promise<Owner | null>;
  stream(id: string): Promise<StreamRecord | null>;
  broadcast(id: string): Promise<BroadcastRecord | null>;
  /** Reads the broadcast's record anew: something newer than it has been seen. */
  broadcastNow(id: BroadcastId): Promise<BroadcastRecord | null>;
  /** Forgets what an event says has changed. */
  heed(event: PlatformEvent): void;
}

/**
 * So long records are shown as they were while their source is away. Nothing can change meanwhile that anybody could have been told of: a
 * change is a put to the store.
 */
const AWAY_MS = 3_600_000;
/** Records change by conditional put anywhere; events shorten this second, lost ones do no more than use it up. */
const RECORD_LIMITS: LookupLimits = {
  ttlMs: 1_000,
  staleMs: AWAY_MS,
  capacity: 5_000,
  limitMs: 3_000,
  patienceMs: 100,
};
/** Longer: an emptied index is rebuilt, or the store itself read, inside one look-up. */
const TARGET_LIMITS: LookupLimits = {
  ttlMs: 1_000,
  staleMs: AWAY_MS,
  capacity: 20_000,
  limitMs: 10_000,
  patienceMs: 500,
};

export function createPlaybackDirectory(records: RecordSource, now?: () => number): PlaybackDirectory {
  const lookup = <K extends RecordKind>(kind: K) =>
    new CachedLookup<RecordOf[K] | null>(
      RECORD_LIMITS,
      async (id) => (await records.get(kind, id))?.value ?? null,
      now,
    );
  const assets = lookup('asset');
  const streams = lookup('stream');
  const broadcasts = lookup('broadcast');
  const contents = lookup('content');
  const targets = new CachedLookup<PlaybackTarget | null>(
    TARGET_LIMITS,
    (id) => records.playback(id as PlaybackId),
    now,
  );

  const liveAsset = async (id: string): Promise<AssetRecord | null> => {
    const asset = await assets.get(id);
    return asset?.status === 'deleting' ? null : asset;
  };
  const liveStream = async (id: string): Promise<StreamRecord | null> => {
    const stream = await streams.get(id);
    return stream?.status === 'deleting' ? null : stream;
  };
  const playlistOwner = async (id: ContentId): Promise<Owner | null> => {
    const broadcast = await broadcasts.get(id);
    if (broadcast !== null) {
      const stream = await liveStream(broadcast.stream_id);
      return stream && { kind: 'broadcast', policy: openest(stream.playback_ids), stream, broadcast };
    }
    return assetOwner(await liveAsset(id));
  };
  return {
    async playback(id) {
      const target = await targets.get(id);
      if (target === null) return null;
      if (target.kind === 'asset') {
        const asset = await liveAsset(target.id);
        const policy = policyOf(asset?.playback_ids, id);
        return asset && policy && { kind: 'asset', policy, asset };
      }
      const stream = await liveStream(target.id);
      const policy = policyOf(stream?.playback_ids, id);
      if (stream === null || policy === null) return null;
      const broadcast = stream.broadcast_id === null ? null : await broadcasts.get(stream.broadcast_id);
      return { kind: 'stream', policy, stream, broadcast };
    },
    async content(id) {
      const own = await playlistOwner(id);
      if (own?.policy === 'public') return own;
      let best = own;
      for (const holder of (await contents.get(id))?.holders ?? []) {
        const owner = assetOwner(await liveAsset(holder));
        if (owner?.policy === 'public') return owner;
        best ??= owner;
      }
      return best;
    },
    playlistOwner,
    stream: liveStream,
    broadcast: (id) => broadcasts.get(id),
    broadcastNow: (id) => broadcasts.fresh(id),
    heed(event) {
      if (event.type === 'asset') assets.invalidate(event.id);
      if (event.type === 'stream') streams.invalidate(event.id);
      if (event.type === 'broadcast') broadcasts.invalidate(event.id);
    },
  };
}

const assetOwner = (asset: AssetRecord | null): Owner | null =>
  asset && { kind: 'asset', policy: openest(asset.playback_ids), asset };

/** The record decides: an index that still names a removed playback id opens nothing. */
const policyOf = (entries: readonly PlaybackEntry[] | undefined, id: PlaybackId): PlaybackPolicy | null =>
  entries?.find((entry) => entry.id === id)?.policy ?? null;
const openest = (entries: readonly PlaybackEntry[]): PlaybackPolicy =>
  entries.some((entry) => entry.policy === 'public') ? 'public' : 'signed';

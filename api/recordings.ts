// The recorder: when a broadcast has ended, the asset over its objects. Any api process may do it, any number of times, from any step on:
// the content's holder, the asset and the stream's list are each one conditional put that does nothing when it was done.
import type { Records } from '../platform/adapters/records.ts';
import { isStored, ObjectConflict, type ObjectStorage } from '../platform/adapters/storage.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import type { AssetId, StreamId } from '../platform/contract/ids.ts';
import { imageKey, LIVE_PICTURES } from '../platform/contract/object-keys.ts';
import type { AssetRecord, BroadcastRecord, StreamRecord } from '../platform/contract/records.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Contents } from './contents.ts';
import { playableOf, type SegmentTables, sumOf, type TableSegment } from './segment-table.ts';
import { playbackIdsFor } from './uploads.ts';

export type RecordingsDeps = {
  records: Pick<Records, 'get' | 'create' | 'update' | 'remove'>;
  contents: Contents;
  tables: Pick<SegmentTables, 'recorded'>;
  storage: Pick<ObjectStorage, 'head'>;
  publish: (event: PlatformEvent) => Promise<void>;
  log: Logger;
};
export interface Recordings {
  /**
   * Makes the recording of an ended broadcast; harmless when repeated.
   * @returns whether this call made the asset
   * @throws StorageUnavailable ObjectConflict: call it again
   */
  record(broadcast: BroadcastRecord): Promise<boolean>;
  /** A recording is being deleted: it shall not be made again. */
  forget(asset: AssetRecord): Promise<void>;
}

/** Recordings that a stream names. */
const RECENT = 10;

/** Title of a recording: as set for the stream's assets, else the stream's own with the time it began. */
export function titleOf(stream: StreamRecord | null, startedAt: number): string {
  const wanted = stream?.new_asset_settings.title ?? '';
  if (wanted !== '') return wanted;
  const time = new Date(startedAt).toISOString().slice(0, 16).replace('T', ' ');
  return `${(stream?.title || 'Live stream').slice(0, 480)}, ${time} UTC`;
}

/** Whoever may watch a recording of a stream that is gone cannot be known: then it takes a token. */
const policiesOf = (stream: StreamRecord | null) => stream?.new_asset_settings.playback_policies ?? ['signed' as const];

function recordingOf(
  broadcast: BroadcastRecord,
  id: AssetId,
  stream: StreamRecord | null,
  found: { segments: TableSegment[]; hasStoryboard: boolean },
): AssetRecord {
  const playable = playableOf(found.segments);
  const { durationS, bytes } = sumOf(playable);
  const isEmpty = playable.length === 0;
  const now = Date.now();
  const description = stream?.new_asset_settings.description ?? '';
  return {
    version: 1,
    id,
    status: isEmpty ? 'errored' : 'ready',
    created_at: now,
    updated_at: now,
    title: titleOf(stream, broadcast.created_at),
    description,
    playback_ids: playbackIdsFor(policiesOf(stream)),
    content_id: broadcast.content_id,
    source: { type: 'live', stream_id: broadcast.stream_id, broadcast_id: broadcast.id },
    term: 0,
    cancel_requested: false,
    errors: isEmpty ? { type: 'NO_MEDIA', messages: [noMediaReason(broadcast)] } : null,
    input: null,
    planned: [],
    renditions: [],
    images_writer: found.hasStoryboard ? LIVE_PICTURES : null,
    range: null,
    duration_s: isEmpty ? null : durationS,
    size_bytes: isEmpty ? null : bytes,
  };
}

const noMediaReason = ({ fault }: BroadcastRecord): string =>
  fault === null ? 'the broadcast ended before any media was recorded' : fault.messages.join('; ') || fault.type;

class Recorder implements Recordings {
  private readonly deps: RecordingsDeps;

  constructor(deps: RecordingsDeps) {
    this.deps = deps;
  }

  async record(broadcast: BroadcastRecord): Promise<boolean> {
    const { asset_id: id } = broadcast;
    if (broadcast.status !== 'ended' || id === null) return false;
    const isMade = (await this.deps.records.get('asset', id)) === null && (await this.make(broadcast, id));
    await this.list(broadcast.stream_id, broadcast, id);
    if (!isMade) return false;
    await this.deps.publish({ type: 'asset', id });
    await this.deps.publish({ type: 'stream', id: broadcast.stream_id });
    this.deps.log.info('broadcast recorded', { broadcast: broadcast.id, asset: id });
    return true;
  }

  private async make(broadcast: BroadcastRecord, id: AssetId): Promise<boolean> {
    const { records, contents } = this.deps;
    if (!(await contents.hold(broadcast.content_id, id, [broadcast.id]))) return false;
    const stream = (await records.get('stream', broadcast.stream_id))?.value ?? null;
    const segments = await this.deps.tables.recorded(broadcast);
    const storyboard = imageKey(broadcast.content_id, 'storyboard.vtt', LIVE_PICTURES);
    const found = { segments, hasStoryboard: await isStored(this.deps.storage, storyboard) };
    try {
      await records.create('asset', recordingOf(broadcast, id, stream, found));
    } catch (thrown) {
      if (thrown instanceof ObjectConflict) return false;
      throw thrown;
    }
    // Deleted while this process slept between the steps: then the broadcast no longer names it, or the content is gone.
    const isWanted = (await records.get('broadcast', broadcast.id))?.value.asset_id === id;
    if (isWanted && (await contents.isHeldBy(broadcast.content_id, id))) return true;
    await records.remove('asset', id);
    await contents.leave(broadcast.content_id, id);
    return false;
  }

  /** Adds the recording to its stream's list; old ones are not added again when they fell out of it. */
  private async list(id: StreamId, broadcast: BroadcastRecord, asset: AssetId): Promise<void> {
    const { records } = this.deps;
    const stream = (await records.get('stream', id))?.value;
    if (stream === undefined || !isMissingIn(stream, broadcast, asset)) return;
    const isThere = (await records.get('asset', asset))?.value.status;
    if (isThere === undefined || isThere === 'deleting') return;
    await records.update('stream', id, (value) =>
      isMissingIn(value, broadcast, asset)
        ? { ...value, recent_asset_ids: [...(value.recent_asset_ids ?? []), asset].slice(-RECENT) }
        : null,
    );
  }

  async forget({ id, source }: AssetRecord): Promise<void> {
    if (source.type !== 'live') return;
    const { records } = this.deps;
    await records.update('broadcast', source.broadcast_id, (broadcast) =>
      broadcast.asset_id === id ? { ...broadcast, asset_id: null } : null,
    );
    await records.update('stream', source.stream_id, (stream) =>
      stream.recent_asset_ids?.includes(id)
        ? { ...stream, recent_asset_ids: stream.recent_asset_ids.filter((other) => other !== id) }
        : null,
    );
  }
}

function isMissingIn(stream: StreamRecord, broadcast: BroadcastRecord, asset: AssetId): boolean {
  const known = stream.recent_asset_ids ?? [];
  return !known.includes(asset) && (known.length < RECENT || stream.broadcast_id === broadcast.id);
}

/** The recorder over records, contents and segment tables. */
export const createRecordings = (deps: RecordingsDeps): Recordings => new Recorder(deps);

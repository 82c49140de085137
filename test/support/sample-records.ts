// Valid records, and nodes of the registry, with as little in them as the schemas allow; what is left out gets the schema's default.
import {
  type AssetId,
  type BroadcastId,
  type ContentId,
  contentOf,
  type NodeId,
  newId,
  type PlaybackId,
  type StreamId,
  type UploadId,
} from '../../platform/contract/ids.ts';
import { NodeInfo, type Role } from '../../platform/contract/nodes.ts';
import { AssetRecord, BroadcastRecord, ContentRecord, StreamRecord } from '../../platform/contract/records.ts';

/** An asset that waits for its upload, with one public playback id. */
export function sampleAsset(changes: Partial<AssetRecord> = {}): AssetRecord {
  const id = newId<AssetId>();
  return AssetRecord.parse({
    version: 1,
    id,
    status: 'preparing',
    created_at: Date.now(),
    updated_at: Date.now(),
    title: 'sample',
    description: '',
    playback_ids: [{ id: newId<PlaybackId>(), policy: 'public' }],
    content_id: contentOf(id),
    source: { type: 'upload', upload_id: newId<UploadId>(), complete: false },
    term: 0,
    cancel_requested: false,
    errors: null,
    input: null,
    planned: [],
    renditions: [],
    images_writer: null,
    duration_s: null,
    size_bytes: null,
    ...changes,
  });
}

/** An enabled stream that was never on air. */
export function sampleStream(changes: Partial<StreamRecord> = {}): StreamRecord {
  return StreamRecord.parse({
    version: 1,
    id: newId<StreamId>(),
    status: 'enabled',
    created_at: Date.now(),
    updated_at: Date.now(),
    title: 'sample',
    description: '',
    latency_mode: 'standard',
    reconnect_window_s: 60,
    key_hash: `hash-${newId()}`,
    key_rotated_at: Date.now(),
    playback_ids: [{ id: newId<PlaybackId>(), policy: 'public' }],
    new_asset_settings: { playback_policies: ['public'], title: '', description: '' },
    broadcast_id: null,
    ...changes,
  });
}

/** A broadcast on air that no worker has taken. */
export function sampleBroadcast(changes: Partial<BroadcastRecord> = {}): BroadcastRecord {
  const id = newId<BroadcastId>();
  return BroadcastRecord.parse({
    version: 1,
    id,
    stream_id: newId<StreamId>(),
    content_id: contentOf(id),
    status: 'live',
    created_at: Date.now(),
    updated_at: Date.now(),
    ended_at: null,
    latency_mode: 'standard',
    reconnect_window_s: 60,
    term: 0,
    worker: null,
    ingest: null,
    disconnected_at: null,
    epochs: [],
    ...changes,
  });
}

/** Content that is kept, held by nobody yet. */
export function sampleContent(changes: Partial<ContentRecord> = {}): ContentRecord {
  const now = Date.now();
  return ContentRecord.parse({
    version: 1,
    id: newId<ContentId>(),
    status: 'kept',
    created_at: now,
    updated_at: now,
    holders: [],
    ...changes,
  });
}

/** A node as the registry shows one that has just started. */
export const sampleNode = (role: Role, changes: Partial<NodeInfo> = {}): NodeInfo =>
  NodeInfo.parse({
    id: newId<NodeId>(),
    role,
    url: '',
    public_url: null,
    private_url: '',
    state: 'healthy',
    started_at: 0,
    pid: 1,
    version: '',
    load: {},
    ...changes,
  });

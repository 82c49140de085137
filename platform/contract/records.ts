// Records: one small versioned JSON document per thing, written with conditional puts. They are what the platform knows; the rest follows.
import { z } from 'zod';
import {
  AssetId,
  BroadcastId,
  ContentId,
  NodeId,
  PlaybackId,
  RenditionName,
  SessionId,
  StreamId,
  UploadId,
  WriterTag,
} from './ids.ts';
import { LATENCY_MODES } from './latency.ts';

const at = z.number().int();
export const PlaybackPolicy = z.enum(['public', 'signed']);
export type PlaybackPolicy = z.infer<typeof PlaybackPolicy>;
export const PlaybackEntry = z.object({ id: PlaybackId, policy: PlaybackPolicy });
export type PlaybackEntry = z.infer<typeof PlaybackEntry>;

/** A rendition as a master playlist describes it. */
export const RenditionInfo = z.object({
  name: RenditionName,
  kind: z.enum(['video', 'audio']),
  /** RFC 6381, of this track alone: `avc1.64001f`, `mp4a.40.2`. */
  codecs: z.string(),
  width: z.number().int().nullable(),
  height: z.number().int().nullable(),
  frame_rate: z.number().nullable(),
  channels: z.number().int().nullable(),
  /** Peak and average of this track, bit/s. Live: the encoder's ceiling and target. */
  bandwidth: z.number().int(),
  average_bandwidth: z.number().int(),
  timescale: z.number().int(),
});
export type RenditionInfo = z.infer<typeof RenditionInfo>;

export const StoredRendition = RenditionInfo.extend({
  epoch: z.number().int(),
  writer: WriterTag,
  segments: z.number().int(),
  duration_s: z.number(),
  bytes: z.number().int(),
  target_duration: z.number().int(),
});
export type StoredRendition = z.infer<typeof StoredRendition>;

export const AssetError = z.object({ type: z.string(), messages: z.array(z.string()) });
export type AssetError = z.infer<typeof AssetError>;

export const NewAssetSettings = z.object({
  playback_policies: z.array(PlaybackPolicy).min(1).max(2),
  title: z.string().max(512).default(''),
  description: z.string().max(5_000).default(''),
});
export type NewAssetSettings = z.infer<typeof NewAssetSettings>;

export const AssetRecord = z.object({
  version: z.literal(1),
  id: AssetId,
  status: z.enum(['preparing', 'ready', 'errored', 'deleting']),
  created_at: at,
  updated_at: at,
  title: z.string(),
  description: z.string(),
  playback_ids: z.array(PlaybackEntry),
  content_id: ContentId,
  source: z.discriminatedUnion('type', [
    /** `complete`: every byte is durable; from then on the reconciler keeps a `vod` job for it. */
    z.object({ type: z.literal('upload'), upload_id: UploadId, complete: z.boolean() }),
    /** Recorded: the broadcast's own objects, all epochs, gaps left out. */
    z.object({ type: z.literal('live'), stream_id: StreamId, broadcast_id: BroadcastId }),
    /** A range of another asset's or a broadcast's objects; `playback_id` is what the caller named. */
    z.object({
      type: z.literal('clip'),
      playback_id: PlaybackId.nullable(),
      asset_id: AssetId.nullable(),
      broadcast_id: BroadcastId.nullable(),
      /** Wanted, in the source's terms (see api/clips.ts), and real after widening. Unit: s, or ms since the epoch for live. */
      wanted: z.object({ start: z.number(), end: z.number() }),
      real: z.object({ start: z.number(), end: z.number() }),
    }),
  ]),
  /** Raised by conditional put whenever a worker takes the job; an older term publishes nothing. */
  term: z.number().int().nonnegative(),
  /** Set by cancel; the worker stops, the asset becomes errored `CANCELLED`. Cleared by retry. */
  cancel_requested: z.boolean(),
  errors: AssetError.nullable(),
  /** What the probe found, shown as input-info. */
  input: z
    .object({
      container: z.string(),
      bytes: z.number().int(),
      duration_s: z.number(),
      video: z.object({ codec: z.string(), width: z.number(), height: z.number(), frame_rate: z.number() }).nullable(),
      audio: z.object({ codec: z.string(), sample_rate: z.number(), channels: z.number() }).nullable(),
    })
    .nullable(),
  /** Planned names, known after the probe; an asset is ready when each is in `renditions`. */
  planned: z.array(RenditionName),
  /** Finished ones, added one conditional put each: what a viewer may already play. */
  renditions: z.array(StoredRendition),
  /** Writer of poster.jpg and thumbnail.jpg (imageKey). */
  images_writer: WriterTag.nullable(),
  /** Media sequence numbers shown, both included; null: the whole content. Clips of live and of uploads alike. */
  range: z.object({ from_msn: z.number().int(), to_msn: z.number().int() }).nullable().default(null),
  duration_s: z.number().nullable(),
  size_bytes: z.number().int().nullable(),
});
export type AssetRecord = z.infer<typeof AssetRecord>;

export const UploadRecord = z.object({
  version: z.literal(1),
  id: UploadId,
  status: z.enum(['waiting', 'asset_created', 'errored', 'cancelled', 'timed_out']),
  created_at: at,
  updated_at: at,
  expires_at: at,
  asset_id: AssetId,
  /** SHA-256 (hex) of the secret in the one-time address. */
  secret_hash: z.string(),
  cors_origin: z.string(),
  /** Declared length; null until known. Bytes. What has arrived is the listing of uploadPrefix. */
  length: z.number().int().nullable(),
  filename: z.string(),
  new_asset_settings: NewAssetSettings,
});
export type UploadRecord = z.infer<typeof UploadRecord>;

/** `ladder`: encoded into renditions. `passthrough`: the source's own frames in CMAF, one rendition. */
export const TranscodeMode = z.enum(['ladder', 'passthrough']).default('ladder');
export type TranscodeMode = z.infer<typeof TranscodeMode>;
/** `standby`: another worker takes over by lease. `hot`: two workers encode on one grid. */
export const Redundancy = z.enum(['standby', 'hot']).default('standby');
export type Redundancy = z.infer<typeof Redundancy>;
export const KeyKind = z.enum(['primary', 'backup']);
export type KeyKind = z.infer<typeof KeyKind>;

export const StreamRecord = z.object({
  version: z.literal(1),
  id: StreamId,
  status: z.enum(['enabled', 'disabled', 'deleting']),
  created_at: at,
  updated_at: at,
  title: z.string(),
  description: z.string(),
  latency_mode: z.enum(LATENCY_MODES),
  transcode: TranscodeMode,
  redundancy: Redundancy,
  /** Whether a broadcast becomes an asset when it ends. */
  record: z.boolean().default(true),
  /** How far viewers can rewind. Unit: s; null: LIVE_WINDOW_S. */
  dvr_window_s: z.number().int().min(20).max(43_200).nullable().default(null),
  /** A picture stands in while nobody publishes (inside the reconnect window). */
  use_slate: z.boolean().default(false),
  /** Gap in which a returning publisher continues the same broadcast. Unit: s. */
  reconnect_window_s: z.number().int().min(0).max(1_800),
  /** SHA-256 (hex) of the stream key; the key itself is shown once and kept nowhere. */
  key_hash: z.string(),
  key_rotated_at: at,
  /** Key of the second encoder, which stands by while the first one publishes; null: none was made. */
  backup_key_hash: z.string().nullable().default(null),
  /** Rotated keys that are accepted until they expire. */
  old_keys: z.array(z.object({ hash: z.string(), key: KeyKind, until: at })).default([]),
  playback_ids: z.array(PlaybackEntry),
  new_asset_settings: NewAssetSettings,
  /** The broadcast viewers are shown: the running one, or the last. */
  broadcast_id: BroadcastId.nullable(),
  /** Recordings, the newest last; absent: none. */
  recent_asset_ids: z.array(AssetId).optional(),
  /** When the slate picture (slateKey) was stored; absent: there is none. */
  slate_at: at.optional(),
});
export type StreamRecord = z.infer<typeof StreamRecord>;

/** One unbroken media timeline of a broadcast, with the grid every worker cuts on. */
export const EpochInfo = z.object({
  epoch: z.number().int(),
  session: SessionId,
  started_at: at,
  /** Grid origin: source timestamp (ms, FLV clock), media sequence number and wall clock (ms) of its first frame. */
  ts0: z.number(),
  msn0: z.number().int(),
  pdt0: z.number(),
  fps: z.object({ num: z.number().int(), den: z.number().int() }),
  part_frames: z.number().int(),
  gop_frames: z.number().int(),
  segment_frames: z.number().int(),
  /** Seconds; null: no parts in playlists. The same in every epoch of a broadcast. */
  part_target: z.number().nullable(),
  /** EXT-X-TARGETDURATION; the same in every epoch of a broadcast. Unit: s. */
  target_duration: z.number().int(),
  /**
   * What is encoded in this epoch. Every rendition that any epoch of the broadcast names has a playlist; where an epoch lacks one, it
   * shows gaps. Audio alone: no video rendition, and the grid counts frames of a picture that is not there.
   */
  renditions: z.array(RenditionInfo),
  /** `copy`: pass-through; segments begin at the source's key frames, the frame counts above are of no meaning (0). */
  grid: z.enum(['frames', 'copy']).default('frames'),
  /** What is shown: the publisher's picture, or the slate. */
  source: z.enum(['publisher', 'slate']).default('publisher'),
});
export type EpochInfo = z.infer<typeof EpochInfo>;

export const BroadcastRecord = z.object({
  version: z.literal(1),
  id: BroadcastId,
  stream_id: StreamId,
  content_id: ContentId,
  status: z.enum(['live', 'ending', 'ended']),
  created_at: at,
  updated_at: at,
  ended_at: at.nullable(),
  latency_mode: z.enum(LATENCY_MODES),
  /** Of the stream, as they were when the broadcast opened. */
  transcode: TranscodeMode,
  redundancy: Redundancy,
  use_slate: z.boolean().default(false),
  dvr_window_s: z.number().int().nullable().default(null),
  /** The asset that the recording becomes, chosen when the broadcast opens; null: it is not recorded. */
  asset_id: AssetId.nullable().default(null),
  reconnect_window_s: z.number().int(),
  /** Who may write; raised by conditional put at each change of owner. 0: nobody yet. */
  term: z.number().int().nonnegative(),
  /** Node that holds the term, for the status page. */
  worker: NodeId.nullable(),
  /** Ingest node with the publisher, and its session; null while nobody publishes. */
  ingest: z.object({ node: NodeId, session: SessionId, since: at, key: KeyKind.default('primary') }).nullable(),
  /** Set when the last publisher left. */
  disconnected_at: at.nullable(),
  epochs: z.array(EpochInfo),
  /** Why the broadcast cannot be shown (`GOP_OUT_OF_RANGE`, `SOURCE_UNSUPPORTED`), with what to do about it; null: it can. */
  fault: AssetError.nullable().default(null),
  /** When its parts had all been deleted, a minute or more after the end; absent: not yet. */
  parts_removed_at: at.optional(),
});
export type BroadcastRecord = z.infer<typeof BroadcastRecord>;

/**
 * Who still needs a content's objects: the broadcast itself while viewers are shown it, and every asset and clip over it. Objects go when the
 * last holder goes. Written by conditional put before the holder's own record, so that no clip can appear over objects that are leaving.
 */
export const ContentRecord = z.object({
  version: z.literal(1),
  id: ContentId,
  status: z.enum(['kept', 'deleting']),
  created_at: at,
  updated_at: at,
  holders: z.array(z.union([AssetId, BroadcastId])),
});
export type ContentRecord = z.infer<typeof ContentRecord>;

/** What the playback index keeps per playback id. */
export const PlaybackTarget = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('asset'), id: AssetId, policy: PlaybackPolicy }),
  z.object({ kind: z.literal('stream'), id: StreamId, policy: PlaybackPolicy }),
]);
export type PlaybackTarget = z.infer<typeof PlaybackTarget>;

/** Schema of each record kind; the records adapter parses with it at the door. */
export const recordSchemas = {
  asset: AssetRecord,
  stream: StreamRecord,
  broadcast: BroadcastRecord,
  upload: UploadRecord,
  content: ContentRecord,
} as const;
export type RecordOf = {
  asset: AssetRecord;
  stream: StreamRecord;
  broadcast: BroadcastRecord;
  upload: UploadRecord;
  content: ContentRecord;
};

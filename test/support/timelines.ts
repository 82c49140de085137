// Made-up timelines and records for tests of playlists and origins: one epoch of any number of segments, one video and one audio rendition.
import type {
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
} from '../../platform/contract/ids.ts';
import { contentOf } from '../../platform/contract/ids.ts';
import type {
  AssetRecord,
  BroadcastRecord,
  EpochInfo,
  RenditionInfo,
  StoredRendition,
  StreamRecord,
} from '../../platform/contract/records.ts';
import type {
  BlockSegment,
  IndexBlock,
  RenditionIndex,
  RenditionPart,
  TimelineEntry,
} from '../../platform/contract/timeline.ts';
import type { LiveSegment } from '../../platform/hls/live-timeline.ts';

export const WRITER = 'writer0001' as WriterTag;
export const V360 = 'v360' as RenditionName;
export const V720 = 'v720' as RenditionName;
export const A0 = 'a0' as RenditionName;

export const video360: RenditionInfo = {
  name: V360,
  kind: 'video',
  codecs: 'avc1.64001e',
  width: 640,
  height: 360,
  frame_rate: 30,
  channels: null,
  bandwidth: 770_000,
  average_bandwidth: 700_000,
  timescale: 90_000,
};
export const video720: RenditionInfo = { ...video360, name: V720, width: 1280, height: 720, bandwidth: 2_750_000 };
export const audio0: RenditionInfo = {
  name: A0,
  kind: 'audio',
  codecs: 'mp4a.40.2',
  width: null,
  height: null,
  frame_rate: null,
  channels: 2,
  bandwidth: 132_000,
  average_bandwidth: 128_000,
  timescale: 48_000,
};

/** An epoch of 2 s segments at 30 fps. */
export const epochOf = (epoch: number, msn0: number, renditions: RenditionInfo[] = [video360, audio0]): EpochInfo => ({
  epoch,
  session: 'session0000000001' as SessionId,
  started_at: 1_700_000_000_000,
  ts0: 0,
  msn0,
  pdt0: pdtOf(msn0),
  fps: { num: 30, den: 1 },
  part_frames: 15,
  gop_frames: 30,
  segment_frames: 60,
  part_target: 0.52,
  target_duration: 2,
  renditions,
  grid: 'frames',
  source: 'publisher',
});

export const pdtOf = (msn: number): number => 1_700_000_000_000 + msn * 2_000;

export type SegmentPlan = {
  epoch: number;
  msn: number;
  term?: number;
  /** Parts of the segment; default 4. */
  parts?: number;
  /** Renditions that have it; default all. */
  renditions?: RenditionInfo[];
  gap?: boolean;
  writer?: WriterTag;
};

/** The entries of one closed segment of 2 s. */
export function segmentEntries(plan: SegmentPlan): TimelineEntry[] {
  const parts = plan.parts ?? 4;
  const writer = plan.writer ?? WRITER;
  return Array.from({ length: parts }, (_none, part) => {
    const isLast = part === parts - 1;
    const renditions: Record<string, RenditionPart> = {};
    for (const { name, timescale } of plan.renditions ?? [video360, audio0]) {
      const segment = { writer, bytes: 1_000, sha256: '00', duration: 2 * timescale };
      renditions[name] = {
        writer,
        bytes: 500,
        sha256: '00',
        duration: (2 * timescale) / parts,
        tfdt: plan.msn * 2 * timescale,
        independent: part === 0,
        ...(isLast ? { segment } : {}),
      };
    }
    return {
      version: 1,
      term: plan.term ?? 1,
      epoch: plan.epoch,
      msn: plan.msn,
      part,
      pdt: pdtOf(plan.msn) + (part * 2_000) / parts,
      gap: plan.gap ?? false,
      last: isLast,
      src: 'store',
      renditions,
    };
  });
}

export type ClosedPlan = {
  epoch: number;
  msn: number;
  gap?: boolean;
  /** Renditions that have it; default all. */
  has?: RenditionInfo[];
  writer?: WriterTag;
  /** Length; default 2. */
  seconds?: number;
};

/**
 * A closed segment as a timeline holds it.
 * @param startS media time of its first frame. Unit: s
 */
export function closedSegment(
  { epoch, msn, gap = false, has = [video360, audio0], writer = WRITER, seconds = 2 }: ClosedPlan,
  startS: (msn: number, kind: RenditionInfo['kind']) => number = () => msn * 2,
): LiveSegment {
  const media = has.map(({ name, kind, timescale }) => ({
    rendition: name,
    writer,
    duration: seconds * timescale,
    tfdt: Math.round(startS(msn, kind) * timescale),
    bytes: 1_000,
  }));
  return { epoch, msn, lastPart: 3, pdt: pdtOf(msn), isGap: gap, src: 'store', media: gap ? [] : media };
}

/** Entries of the segments `from` to `to`, both included, of one epoch. */
export function entriesOf(epoch: number, from: number, to: number): TimelineEntry[] {
  const entries: TimelineEntry[] = [];
  for (let msn = from; msn <= to; msn += 1) entries.push(...segmentEntries({ epoch, msn }));
  return entries;
}

/** The index block over entries of one epoch. */
export function blockOf(entries: readonly TimelineEntry[]): IndexBlock {
  const segments = entries
    .filter((entry) => entry.last)
    .map((last): BlockSegment => {
      const first = entries.find((entry) => entry.msn === last.msn && entry.part === 0) ?? last;
      const renditions: BlockSegment['renditions'] = {};
      for (const [name, { segment }] of Object.entries(last.renditions)) {
        const tfdt = first.renditions[name as RenditionName]?.tfdt ?? 0;
        if (segment !== undefined) renditions[name as RenditionName] = { ...segment, tfdt };
      }
      return { msn: last.msn, pdt: first.pdt, gap: last.gap, last_part: last.part, term: last.term, renditions };
    });
  const numbers = segments.map(({ msn }) => msn);
  return {
    version: 2,
    epoch: entries[0]?.epoch ?? 0,
    first_msn: Math.min(...numbers),
    last_msn: Math.max(...numbers),
    segments,
  };
}

export const BROADCAST = 'broadcast0000000001' as BroadcastId;
export const STREAM = 'stream00000000000001' as StreamId;
export const LIVE_CONTENT: ContentId = contentOf(BROADCAST);

/** A running broadcast with a publisher. */
export const broadcastOf = (changes: Partial<BroadcastRecord> = {}): BroadcastRecord => ({
  version: 1,
  id: BROADCAST,
  stream_id: STREAM,
  content_id: LIVE_CONTENT,
  status: 'live',
  created_at: 1_700_000_000_000,
  updated_at: 1_700_000_000_000,
  ended_at: null,
  latency_mode: 'default',
  transcode: 'ladder',
  redundancy: 'standby',
  use_slate: false,
  dvr_window_s: null,
  asset_id: null,
  reconnect_window_s: 60,
  term: 1,
  worker: null,
  ingest: {
    node: 'node000000000000001' as NodeId,
    session: 'session0000000001' as SessionId,
    since: 1_700_000_000_000,
    key: 'primary',
  },
  disconnected_at: null,
  epochs: [epochOf(1, 0)],
  fault: null,
  ...changes,
});

export const LIVE_PLAYBACK = 'livePlayback0000001' as PlaybackId;
export const VIDEO_PLAYBACK = 'videoPlayback000001' as PlaybackId;
export const SIGNED_PLAYBACK = 'signedPlayback00001' as PlaybackId;
export const ASSET = 'asset000000000000001' as AssetId;

/** A stream with one public playback id, showing the broadcast. */
export const streamOf = (changes: Partial<StreamRecord> = {}): StreamRecord => ({
  version: 1,
  id: STREAM,
  status: 'enabled',
  created_at: 1_700_000_000_000,
  updated_at: 1_700_000_000_000,
  title: 'A test stream',
  description: '',
  latency_mode: 'default',
  transcode: 'ladder',
  redundancy: 'standby',
  record: true,
  dvr_window_s: null,
  use_slate: false,
  reconnect_window_s: 60,
  key_hash: 'a'.repeat(64),
  key_rotated_at: 1_700_000_000_000,
  backup_key_hash: null,
  old_keys: [],
  playback_ids: [{ id: LIVE_PLAYBACK, policy: 'public' }],
  new_asset_settings: { playback_policies: ['public'], title: '', description: '' },
  broadcast_id: BROADCAST,
  ...changes,
});

export const storedOf = (info: RenditionInfo): StoredRendition => ({
  ...info,
  epoch: 1,
  writer: WRITER,
  segments: 3,
  duration_s: 15,
  bytes: 30,
  target_duration: 6,
});

/** A ready asset with video and audio. */
export const assetOf = (changes: Partial<AssetRecord> = {}): AssetRecord => ({
  version: 1,
  id: ASSET,
  status: 'ready',
  created_at: 1_700_000_000_000,
  updated_at: 1_700_000_000_000,
  title: 'A test video',
  description: 'of nothing',
  playback_ids: [{ id: VIDEO_PLAYBACK, policy: 'public' }],
  content_id: contentOf(ASSET),
  source: { type: 'upload', upload_id: 'upload00000000000001' as UploadId, complete: true },
  term: 1,
  cancel_requested: false,
  errors: null,
  input: null,
  planned: [V360, A0],
  renditions: [storedOf(video360), storedOf(audio0)],
  images_writer: WRITER,
  range: null,
  duration_s: 15,
  size_bytes: 60,
  ...changes,
});

/** The segment table of a stored rendition: two segments of 6 s and one of 3 s. */
export const renditionIndexOf = (info: RenditionInfo): RenditionIndex => ({
  version: 1,
  rendition: info.name,
  epoch: 1,
  writer: WRITER,
  timescale: info.timescale,
  target_duration: 6,
  segments: [6, 6, 3].map((durationS, msn) => ({
    msn,
    tfdt: msn * 6 * info.timescale,
    duration: durationS * info.timescale,
    bytes: 10,
    sha256: '00',
  })),
});

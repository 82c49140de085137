// Made-up timelines and records for tests of playlists and origins: one epoch of any number of segments, one video and one audio rendition.
import type {
  BroadcastId,
  ContentId,
  RenditionName,
  SessionId,
  StreamId,
  WriterTag,
} from '../../platform/contract/ids.ts';
import { contentOf } from '../../platform/contract/ids.ts';
import type { BroadcastRecord, EpochInfo, RenditionInfo } from '../../platform/contract/records.ts';
import type { RenditionPart, TimelineEntry } from '../../platform/contract/timeline.ts';

export const WRITER = 'writer0001' as WriterTag;
export const V360 = 'v360' as RenditionName;
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
});

export const pdtOf = (msn: number): number => 1_700_000_000_000 + msn * 2_000;

export type SegmentPlan = {
  epoch: number;
  msn: number;
  term?: number;
  /** Parts of the segment; default 2. */
  parts?: number;
  /** Renditions that have it; default all. */
  renditions?: RenditionInfo[];
  gap?: boolean;
  writer?: WriterTag;
};

/** The entries of one closed segment of 2 s. */
export function segmentEntries(plan: SegmentPlan): TimelineEntry[] {
  const parts = plan.parts ?? 2;
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

/** Entries of the segments `from` to `to`, both included, of one epoch. */
export function entriesOf(epoch: number, from: number, to: number): TimelineEntry[] {
  const entries: TimelineEntry[] = [];
  for (let msn = from; msn <= to; msn += 1) entries.push(...segmentEntries({ epoch, msn }));
  return entries;
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
  reconnect_window_s: 60,
  term: 1,
  worker: null,
  ingest: { node: 'node000000000000001' as never, session: 'session0000000001' as SessionId, since: 1_700_000_000_000 },
  disconnected_at: null,
  epochs: [epochOf(1, 0)],
  ...changes,
});

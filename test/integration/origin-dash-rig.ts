// A DASH presentation over a live that a test moves by hand: manifests as origins write them, and the media they name.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ContentId, RenditionName, SessionId, WriterTag } from '../../platform/contract/ids.ts';
import type { EpochInfo, RenditionInfo } from '../../platform/contract/records.ts';
import { parseViewerPath } from '../../platform/contract/routes.ts';
import { type DashManifest, writeDash } from '../../platform/hls/dash.ts';
import { liveDash, recordedDash } from '../../platform/hls/dash-periods.ts';
import type { LiveSegment } from '../../platform/hls/live-timeline.ts';
import { recordedSegments } from '../../platform/hls/recording.ts';
import { RigLive, type Segment, TARGET_S } from './player-live.ts';
import { PART_S, stamped, type Track } from './player-media.ts';

export const CONTENT = 'DashContentDashContent' as ContentId;
const WRITERS = ['aaaa', 'bbbb'] as WriterTag[];

export type DashServer = {
  url: string;
  /** Requests answered with an error. */
  failed: string[];
  manifests: number;
  close(): Promise<void>;
};
export type DashOptions = {
  windowS: number;
  addressing: DashManifest['addressing'];
  /** Which of two workers stored a segment. */
  writerOf?: (msn: number) => 0 | 1;
};

function infoOf(track: Track): RenditionInfo {
  const isAudio = track.name === 'a0';
  const height = isAudio ? null : Number(track.name.slice(1));
  return {
    name: track.name as RenditionName,
    kind: isAudio ? 'audio' : 'video',
    codecs: track.codecs,
    width: height === null ? null : (height * 16) / 9,
    height,
    frame_rate: isAudio ? null : 25,
    channels: isAudio ? 2 : null,
    bandwidth: track.bandwidth,
    average_bandwidth: track.bandwidth,
    timescale: track.timescale,
  };
}

const epochsOf = (live: RigLive, tracks: readonly Track[]): EpochInfo[] => {
  const firsts = new Map<number, Segment>();
  for (const segment of live.segments)
    if (!segment.isGap && !firsts.has(segment.epoch)) firsts.set(segment.epoch, segment);
  return [...firsts.values()].map(({ epoch, msn, pdtMs }) => ({
    epoch,
    session: 'session0000000001' as SessionId,
    started_at: Math.round(pdtMs),
    ts0: RigLive.ticks({ ...(tracks[0] as Track), timescale: 1_000 }, epoch, 0),
    msn0: msn,
    pdt0: pdtMs,
    fps: { num: 25, den: 1 },
    part_frames: 8,
    gop_frames: 24,
    segment_frames: 48,
    part_target: 0.35,
    target_duration: TARGET_S,
    renditions: tracks.map(infoOf),
    grid: 'frames',
    source: 'publisher',
  }));
};

function segmentOf(segment: Segment, tracks: readonly Track[], writer: WriterTag): LiveSegment {
  const { epoch, msn, isGap, pdtMs, count, first } = segment;
  const media = tracks.map((track) => ({
    rendition: track.name as RenditionName,
    writer,
    duration: Math.round(count * PART_S * track.timescale),
    tfdt: RigLive.ticks(track, epoch, first),
    bytes: 1,
  }));
  return { epoch, msn, lastPart: count - 1, pdt: pdtMs, isGap, src: 'store', media: isGap ? [] : media };
}

/** Serves the live as DASH: running at `/live.mpd`, what there is of it now as a recording at `/recorded.mpd`. */
export async function startDashServer(tracks: Track[], live: RigLive, options: DashOptions): Promise<DashServer> {
  const writerOf = (msn: number): WriterTag => WRITERS[options.writerOf?.(msn) ?? 0] ?? ('aaaa' as WriterTag);
  const failed: string[] = [];
  const manifest = (path: string): string => {
    const closed = live.segments.filter((one) => one.isClosed && one.count > 0);
    const segments = closed.map((one) => segmentOf(one, tracks, writerOf(one.msn)));
    const epochs = epochsOf(live, tracks);
    const { addressing, windowS } = options;
    const made =
      path === '/recorded.mpd'
        ? recordedDash(CONTENT, recordedSegments(segments, epochs), addressing)
        : liveDash({
            content: CONTENT,
            epochs,
            segments,
            windowS,
            isEnded: live.isEnded,
            nowMs: Date.now(),
            addressing,
          });
    if (made === null) throw new Error('nothing to list');
    return writeDash(made);
  };
  const media = (path: string): Buffer | null => {
    const route = parseViewerPath(path);
    if (route?.kind !== 'init' && route?.kind !== 'segment') return null;
    const track = tracks.find(({ name }) => name === route.rendition);
    if (track === undefined || route.kind === 'init') return track?.init ?? null;
    const segment = live.segments.find((one) => one.msn === route.msn && one.epoch === route.epoch);
    if (segment === undefined || segment.isGap || writerOf(route.msn) !== route.writer) return null;
    const parts = Array.from({ length: segment.count }, (_none, index) => {
      const running = segment.first + index;
      const part = track.parts[running % track.parts.length] ?? Buffer.alloc(0);
      return stamped(part, RigLive.ticks(track, segment.epoch, running));
    });
    return Buffer.concat(parts);
  };
  const result: Omit<DashServer, 'url' | 'close'> = { failed, manifests: 0 };
  const server = createServer((req, res) => {
    const path = req.url ?? '/';
    res.setHeader('access-control-allow-origin', '*');
    if (path.endsWith('.mpd')) {
      result.manifests += 1;
      return void res.writeHead(200, { 'content-type': 'application/dash+xml' }).end(manifest(path));
    }
    const body = media(path);
    if (body === null && path !== '/favicon.ico') failed.push(path);
    res.writeHead(body === null ? 404 : 200, { 'content-type': 'video/mp4' }).end(body ?? undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(result, {
    url,
    async close() {
      live.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

// The stand-in's playlists as pure functions of the time: what an origin shows, and what a viewer must therefore have been given.
import { initUri, partUri, segmentUri } from '../../platform/contract/routes.ts';
import { EPOCH, writerOf } from './objects.ts';

/** Classic live: segments of 4 s. Bytes of a segment by rendition: 1.2, 2.8 and 5 Mb/s, and one small enough for crowds. */
export const classic = {
  segmentMs: 4_000,
  window: 6,
  rungs: { v360: 600_000, v480: 1_400_000, v720: 2_500_000, v144: 100_000 },
} as const;
export type Rung = keyof typeof classic.rungs;
export const isRung = (name: string): name is Rung => Object.hasOwn(classic.rungs, name);

/** Low latency: parts of half a second and 30 KB, four to a segment. */
export const lowLatency = {
  partMs: 500,
  partBytes: 30_000,
  partsPerSegment: 4,
  /** Segments listed, and those of them listed with their parts. */
  window: 22,
  windowWithParts: 3,
} as const;

/** On demand: titles of one length. */
export const onDemand = { segmentMs: 4_000, segments: 20, segmentBytes: 1_048_576 } as const;

/** The newest segment that is there. @param ageMs since the stream's zero */
export const newestSegment = (ageMs: number): number => Math.floor(ageMs / classic.segmentMs) - 1;
/** When a segment is there. Unit: ms since zero. */
export const segmentAtMs = (msn: number): number => (msn + 1) * classic.segmentMs;
/** The newest part that is there, counted from zero over all segments. */
export const newestPart = (ageMs: number): number => Math.floor(ageMs / lowLatency.partMs) - 1;
/** When a part is there. Unit: ms since zero. */
export const partAtMs = (index: number): number => (index + 1) * lowLatency.partMs;
export const partIndex = (msn: number, part: number): number => msn * lowLatency.partsPerSegment + part;
export const placeOf = (index: number): { msn: number; part: number } => ({
  msn: Math.floor(index / lowLatency.partsPerSegment),
  part: index % lowLatency.partsPerSegment,
});

const HEAD = '#EXTM3U\n#EXT-X-VERSION:9\n';

/** @param newest its last segment; at least `classic.window` */
export function classicPlaylist(rung: Rung, newest: number): string {
  const first = Math.max(0, newest - classic.window + 1);
  const lines = [
    `${HEAD}#EXT-X-TARGETDURATION:${classic.segmentMs / 1_000}`,
    `#EXT-X-MEDIA-SEQUENCE:${first}`,
    `#EXT-X-MAP:URI="${initUri(EPOCH)}"`,
  ];
  for (let msn = first; msn <= newest; msn += 1)
    lines.push(`#EXTINF:${classic.segmentMs / 1_000}.00000,`, segmentUri(EPOCH, msn, writerOf(classic.rungs[rung])));
  return `${lines.join('\n')}\n`;
}

/** The newest segment that a classic playlist lists; null when it is none of ours. */
export function newestListed(playlist: Buffer): number | null {
  const first = /#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(playlist.toString('latin1', 0, 200))?.[1];
  return first === undefined ? null : Number(first) + classic.window - 1;
}

/** About 2 KB. @param newest its last part, counted from zero over all segments */
export function lowLatencyPlaylist(newest: number): string {
  const { partMs, partBytes, partsPerSegment, window, windowWithParts } = lowLatency;
  const last = placeOf(newest);
  const first = Math.max(0, last.msn - window + 1);
  const partS = (partMs / 1_000).toFixed(5);
  const lines = [
    `${HEAD}#EXT-X-TARGETDURATION:${(partMs * partsPerSegment) / 1_000}`,
    `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${(partMs * 3) / 1_000}`,
    `#EXT-X-PART-INF:PART-TARGET=${partS}`,
    `#EXT-X-MEDIA-SEQUENCE:${first}`,
    `#EXT-X-MAP:URI="${initUri(EPOCH)}"`,
  ];
  for (let msn = first; msn <= last.msn; msn += 1) {
    const parts = msn < last.msn ? partsPerSegment : last.part + 1;
    if (msn > last.msn - windowWithParts)
      for (let part = 0; part < parts; part += 1)
        lines.push(
          `#EXT-X-PART:DURATION=${partS},INDEPENDENT=YES,URI="${partUri(EPOCH, msn, part, writerOf(partBytes))}"`,
        );
    if (parts === partsPerSegment)
      lines.push(
        `#EXTINF:${((partMs * partsPerSegment) / 1_000).toFixed(5)},`,
        segmentUri(EPOCH, msn, writerOf(partBytes * partsPerSegment)),
      );
  }
  const next = placeOf(newest + 1);
  lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${partUri(EPOCH, next.msn, next.part, writerOf(partBytes))}"`);
  return `${lines.join('\n')}\n`;
}

/** A finished playlist. @param bytes filled up to this length by a comment; 0: as long as it is */
export function finishedPlaylist(segmentBytes: number, segments: number, bytes = 0): string {
  const lines = [
    `${HEAD}#EXT-X-TARGETDURATION:${onDemand.segmentMs / 1_000}`,
    '#EXT-X-PLAYLIST-TYPE:VOD',
    `#EXT-X-MAP:URI="${initUri(EPOCH)}"`,
  ];
  for (let msn = 0; msn < segments; msn += 1)
    lines.push(`#EXTINF:${onDemand.segmentMs / 1_000}.00000,`, segmentUri(EPOCH, msn, writerOf(segmentBytes)));
  const text = `${lines.join('\n')}\n#EXT-X-ENDLIST\n`;
  return text.length + 2 >= bytes ? text : `${text}${'#'.repeat(bytes - text.length - 1)}\n`;
}

/** A master of one or more renditions of a content. */
export const masterPlaylist = (content: string, renditions: readonly string[]): string =>
  `${HEAD}${renditions
    .map(
      (rendition) => `#EXT-X-STREAM-INF:BANDWIDTH=5000000,CODECS="avc1.64001f"\nv/-/${content}/${rendition}/index.m3u8`,
    )
    .join('\n')}\n`;

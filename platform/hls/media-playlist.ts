// Media playlists: one structure that every media playlist is written from, and how an on-demand rendition becomes it. Live: live-playlist.ts.

import { initUri, segmentUri } from '../contract/routes.ts';
import type { RenditionIndex } from '../contract/timeline.ts';
import {
  attributeTag,
  LIVE_PLAYLIST_VERSION,
  PLAYLIST_VERSION,
  playlistText,
  quoted,
  seconds,
  valueTag,
} from './tags.ts';

export type PlaylistSegment = {
  /** Discontinuity sequence number: segments with different ones are parted by EXT-X-DISCONTINUITY. */
  discontinuity: number;
  /** Relative address of the initialisation segment; null: none is known, the one before stays in force. */
  mapUri: string | null;
  /** Relative address; a gap has one too, which players do not load. */
  uri: string;
  /** Seconds. */
  durationS: number;
  /** Wall clock of the first frame, ms since the epoch; null on demand. */
  programDateTimeMs: number | null;
  isGap: boolean;
};

export type MediaPlaylist = {
  /** VOD: complete and unchanging. SLIDING: segments leave at the front (no EXT-X-PLAYLIST-TYPE). */
  type: 'VOD' | 'SLIDING';
  /** Seconds; never below a rounded segment duration, never changing for one playlist. */
  targetDurationS: number;
  /** Media sequence number of the first segment; the others count on from it. */
  mediaSequence: number;
  segments: readonly PlaylistSegment[];
  /** No segment will be added. */
  isEnded: boolean;
};

/**
 * The text of a media playlist: a pure function of the structure, so equal on every origin that holds the same.
 * Source: RFC 8216, 4.3.2 and 4.3.3; rfc8216bis, 4.4.4.7 (EXT-X-GAP).
 */
export function writeMediaPlaylist(playlist: MediaPlaylist): string {
  const lines = [
    valueTag('EXT-X-VERSION', playlist.type === 'VOD' ? PLAYLIST_VERSION : LIVE_PLAYLIST_VERSION),
    valueTag('EXT-X-TARGETDURATION', playlist.targetDurationS),
    valueTag('EXT-X-MEDIA-SEQUENCE', playlist.mediaSequence),
  ];
  const firstDiscontinuity = playlist.segments[0]?.discontinuity ?? 0;
  if (firstDiscontinuity > 0) lines.push(valueTag('EXT-X-DISCONTINUITY-SEQUENCE', firstDiscontinuity));
  if (playlist.type === 'VOD') lines.push('#EXT-X-PLAYLIST-TYPE:VOD');
  lines.push('#EXT-X-INDEPENDENT-SEGMENTS');
  let discontinuity = firstDiscontinuity;
  let mapUri: string | null = null;
  for (const segment of playlist.segments) {
    // One tag per step: when the segments before have left, EXT-X-DISCONTINUITY-SEQUENCE grows by just the tags that left.
    for (; discontinuity < segment.discontinuity; discontinuity += 1) lines.push('#EXT-X-DISCONTINUITY');
    if (segment.mapUri !== null && segment.mapUri !== mapUri) {
      mapUri = segment.mapUri;
      lines.push(attributeTag('EXT-X-MAP', { URI: quoted(mapUri) }));
    }
    if (segment.programDateTimeMs !== null) {
      const date = new Date(Math.round(segment.programDateTimeMs)).toISOString();
      lines.push(valueTag('EXT-X-PROGRAM-DATE-TIME', date));
    }
    if (segment.isGap) lines.push('#EXT-X-GAP');
    lines.push(`#EXTINF:${seconds(segment.durationS)},`, segment.uri);
  }
  if (playlist.isEnded) lines.push('#EXT-X-ENDLIST');
  return playlistText(lines);
}

/**
 * The playlist of one finished on-demand rendition.
 * @param index its segment table, segments in order of msn, no number left out
 */
export function vodPlaylist(index: RenditionIndex): MediaPlaylist {
  const segments = index.segments.map((segment) => ({
    discontinuity: 0,
    mapUri: initUri(index.epoch),
    uri: segmentUri(index.epoch, segment.msn, index.writer),
    durationS: segment.duration / index.timescale,
    programDateTimeMs: null,
    isGap: false,
  }));
  const longest = segments.reduce((most, segment) => Math.max(most, Math.round(segment.durationS)), 1);
  return {
    type: 'VOD',
    targetDurationS: Math.max(index.target_duration, longest),
    mediaSequence: index.segments[0]?.msn ?? 0,
    segments,
    isEnded: true,
  };
}

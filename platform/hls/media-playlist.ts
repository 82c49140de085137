// On-demand media playlists: one structure that they are written from, and how an uploaded rendition becomes it. Live: live-playlist.ts.

import { initUri, segmentUri } from '../contract/routes.ts';
import type { RenditionIndex } from '../contract/timeline.ts';
import { attributeTag, dateTag, PLAYLIST_VERSION, playlistText, quoted, seconds, valueTag } from './tags.ts';

/** The version that brought EXT-X-GAP. */
const GAP_PLAYLIST_VERSION = 8;

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
  /** Seconds; never below a rounded segment duration, never changing for one playlist. */
  targetDurationS: number;
  /** Media sequence number of the first segment; the others count on from it. */
  mediaSequence: number;
  segments: readonly PlaylistSegment[];
  /** Some segments do not begin with a key frame. Default: each does. */
  isDependent?: boolean;
};

/** The lines of one whole segment; what it shares with the one before (EXT-X-DISCONTINUITY, EXT-X-MAP) stands before them. */
export function segmentLines(segment: Omit<PlaylistSegment, 'discontinuity' | 'mapUri'>): string[] {
  const lines: string[] = [];
  if (segment.programDateTimeMs !== null) lines.push(dateTag(segment.programDateTimeMs));
  if (segment.isGap) lines.push('#EXT-X-GAP');
  lines.push(`#EXTINF:${seconds(segment.durationS)},`, segment.uri);
  return lines;
}

/**
 * The text of an on-demand media playlist: a pure function of the structure, so equal on every origin that holds the same.
 * Source: RFC 8216, 4.3.2 and 4.3.3; rfc8216bis, 4.4.4.7 (EXT-X-GAP).
 */
export function writeMediaPlaylist(playlist: MediaPlaylist): string {
  const hasGap = playlist.segments.some(({ isGap }) => isGap);
  const lines = [
    valueTag('EXT-X-VERSION', hasGap ? GAP_PLAYLIST_VERSION : PLAYLIST_VERSION),
    valueTag('EXT-X-TARGETDURATION', playlist.targetDurationS),
    valueTag('EXT-X-MEDIA-SEQUENCE', playlist.mediaSequence),
  ];
  const firstDiscontinuity = playlist.segments[0]?.discontinuity ?? 0;
  if (firstDiscontinuity > 0) lines.push(valueTag('EXT-X-DISCONTINUITY-SEQUENCE', firstDiscontinuity));
  lines.push('#EXT-X-PLAYLIST-TYPE:VOD');
  if (!playlist.isDependent) lines.push('#EXT-X-INDEPENDENT-SEGMENTS');
  let discontinuity = firstDiscontinuity;
  let mapUri: string | null = null;
  for (const segment of playlist.segments) {
    // One tag per step: when the segments before have left, EXT-X-DISCONTINUITY-SEQUENCE grows by just the tags that left.
    for (; discontinuity < segment.discontinuity; discontinuity += 1) lines.push('#EXT-X-DISCONTINUITY');
    if (segment.mapUri !== null && segment.mapUri !== mapUri) {
      mapUri = segment.mapUri;
      lines.push(attributeTag('EXT-X-MAP', { URI: quoted(mapUri) }));
    }
    lines.push(...segmentLines(segment));
  }
  lines.push('#EXT-X-ENDLIST');
  return playlistText(lines);
}

/**
 * The playlist of one finished on-demand rendition.
 * @param index its segment table, segments in order of msn, no number left out
 * @param base written before each address: from the playlist's own to the rendition's media; empty where they are the same
 */
export function vodPlaylist(index: RenditionIndex, base = ''): MediaPlaylist {
  const segments = index.segments.map((segment) => ({
    discontinuity: 0,
    mapUri: base + initUri(index.epoch),
    uri: base + segmentUri(index.epoch, segment.msn, index.writer),
    durationS: segment.duration / index.timescale,
    programDateTimeMs: null,
    isGap: false,
  }));
  const longest = segments.reduce((most, segment) => Math.max(most, Math.round(segment.durationS)), 1);
  return {
    targetDurationS: Math.max(index.target_duration, longest),
    mediaSequence: index.segments[0]?.msn ?? 0,
    segments,
  };
}

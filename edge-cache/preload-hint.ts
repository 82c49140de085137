// What a passing media playlist says about what comes next: its hinted part and its target duration. Read from bytes: a long rewind window is no reason to decode it.
import { NO_WRITER, parseViewerPath, type ViewerRoute } from '../platform/contract/routes.ts';
import { pathOf } from './request-target.ts';

type MediaPlaylistRoute = Extract<ViewerRoute, { kind: 'media-playlist' }>;
export type PartRoute = Extract<ViewerRoute, { kind: 'part' }>;

const HINT = '#EXT-X-PRELOAD-HINT:';
const TARGET = '#EXT-X-TARGETDURATION:';
const END = '#EXT-X-ENDLIST';
/** Longest line of interest. Unit: bytes. */
const LINE_BYTES = 512;

/**
 * The part that comes next, as EXT-X-PRELOAD-HINT:TYPE=PART names it.
 * @param route of the playlist: the hint's address is relative to it
 * @returns null without a hint, or with one that is no part of the same rendition or will have no object (a gap)
 */
export function hintedPart(route: MediaPlaylistRoute, playlist: Buffer): PartRoute | null {
  const line = lineAt(playlist, playlist.lastIndexOf(HINT));
  if (line === null || !/[:,]TYPE=PART(?:,|$)/.test(line)) return null;
  const uri = /[:,]URI="([^"]{1,200})"/.exec(line)?.[1];
  if (uri === undefined) return null;
  const playlistPath = pathOf(route);
  const hinted = parseViewerPath(playlistPath.slice(0, playlistPath.lastIndexOf('/') + 1) + uri);
  return hinted?.kind === 'part' && hinted.writer !== NO_WRITER ? hinted : null;
}

/** EXT-X-TARGETDURATION. Unit: s; null when the text has none. */
export function targetDurationS(playlist: Buffer): number | null {
  const digits = /^#EXT-X-TARGETDURATION:(\d{1,3})$/.exec(lineAt(playlist, playlist.indexOf(TARGET)) ?? '')?.[1];
  return digits === undefined || Number(digits) === 0 ? null : Number(digits);
}

/** The playlist is finished: nothing comes any more. */
export const isFinished = (playlist: Buffer): boolean => playlist.lastIndexOf(END) !== -1;

function lineAt(text: Buffer, from: number): string | null {
  if (from === -1) return null;
  const end = text.indexOf('\n', from);
  return text.toString('latin1', from, Math.min(end === -1 ? text.length : end, from + LINE_BYTES)).trimEnd();
}

// If-None-Match, If-Modified-Since and Range against an object the edge holds. Source: RFC 9110, sections 13 and 14.
import type { Headers } from './messages.ts';

const strip = (tag: string): string => tag.trim().replace(/^W\//, '');

/**
 * Whether the viewer already has this object.
 * Source: RFC 9110, 13.1.2 (weak comparison), 13.1.3 and 13.2.2 (If-Modified-Since counts only without If-None-Match)
 */
export function isNotModified(
  given: Readonly<Record<string, string | undefined>>,
  etag: string | null,
  lastModified: string | undefined,
): boolean {
  const ifNoneMatch = given['if-none-match'];
  if (ifNoneMatch === undefined) return isSince(given['if-modified-since'], lastModified);
  if (etag === null) return false;
  return ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some((tag) => strip(tag) === strip(etag));
}

/** A date that cannot be read says nothing. */
function isSince(given: string | undefined, lastModified: string | undefined): boolean {
  if (given === undefined || lastModified === undefined) return false;
  return lastModified === given || Date.parse(lastModified) <= Date.parse(given);
}

/** Bytes [from, to]; `whole`: no range, several, or one that must be ignored. */
export type Span = { from: number; to: number } | 'whole' | 'unsatisfiable';

/**
 * The one range a viewer wants.
 * @param length bytes of the object
 * @param etag for If-Range: another tag means the whole
 */
export function spanOf(
  headers: Readonly<Record<string, string | undefined>>,
  length: number,
  etag: string | null,
): Span {
  const match = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/.exec(headers['range'] ?? '');
  if (!match) return 'whole';
  const ifRange = headers['if-range'];
  if (ifRange !== undefined && (ifRange !== etag || ifRange.startsWith('W/'))) return 'whole';
  const [, first, last, suffix] = match;
  if (suffix !== undefined) {
    const count = Math.min(Number(suffix), length);
    return count === 0 ? 'unsatisfiable' : { from: length - count, to: length - 1 };
  }
  const from = Number(first);
  const to = last === undefined ? length - 1 : Math.min(Number(last), length - 1);
  if (last !== undefined && Number(last) < from) return 'whole';
  return from >= length ? 'unsatisfiable' : { from, to };
}

/** Content-Range of a span, and of one that cannot be had. */
export const contentRange = (span: { from: number; to: number } | null, length: number): Headers => ({
  'content-range': span === null ? `bytes */${length}` : `bytes ${span.from}-${span.to}/${length}`,
});

// What may be kept, how long it is fresh, and how long it may be shown when no origin answers: the origin's terms (cache-control.ts) within
// the bounds of each kind of route.
import { headers as names, type ViewerRoute } from '../platform/contract/routes.ts';
import { cacheTermsOf } from './cache-control.ts';
import { type Asked, isExact } from './live-edges.ts';
import type { Headers } from './messages.ts';

export type RouteKind = ViewerRoute['kind'];

type Rule = {
  /** Most freshness whatever the origin grants. Unit: ms. */
  maxFreshMs: number;
  /** Shown this long after it grew stale while origins fail. Unit: ms. */
  staleIfErrorMs: number;
  /** Until the first byte of an origin's answer. Unit: ms. */
  firstByteMs: number;
  /** Most bytes of a body. */
  maxBytes: number;
  /** Bytes go to viewers while they arrive, and a broken body is continued by Range; else a body is taken whole or not at all. */
  isStreamed: boolean;
  /** May be kept on disk: what never changes and is asked for long after. Parts are asked for while they are new. */
  isForDisk: boolean;
};

const MiB = 1024 ** 2;
const YEAR_MS = 31_536_000_000;
const media = {
  maxFreshMs: YEAR_MS,
  staleIfErrorMs: 60_000,
  firstByteMs: 2_000,
  maxBytes: 64 * MiB,
  isStreamed: true,
  isForDisk: true,
};
const text = { staleIfErrorMs: 60_000, firstByteMs: 1_000, maxBytes: 8 * MiB, isStreamed: false, isForDisk: false };

/** One row per kind of route. */
export const rules: Record<RouteKind, Rule> = {
  master: { ...text, maxFreshMs: 5_000 },
  mpd: { ...text, maxFreshMs: 30_000 },
  'media-playlist': { ...text, maxFreshMs: 30_000 },
  info: { ...text, maxFreshMs: 1_000 },
  catalog: { ...text, maxFreshMs: 2_000 },
  image: { ...text, maxFreshMs: 60_000, firstByteMs: 2_000 },
  init: media,
  segment: media,
  part: { ...media, isForDisk: false },
};

/** A live playlist may be this old when origins fail: 3 target durations of 2 s; older means a stalled player anyway. Unit: ms. */
export const LIVE_STALE_MS = 6_000;
const LIVE_FRESH_MS = 1_000;
/** A manifest that its origin lets nobody keep for longer than this is live, with or without a position. Unit: ms. */
const LIVE_MPD_AGE_MS = 2_000;
/** An answer to `_HLS_msn` shows one fixed place: as long as players may ask for it, 6 target durations of 2 s. Unit: ms. */
const EXACT_FRESH_MS = 12_000;
const NEGATIVE_FRESH_MS = 1_000;

/** Unit: ms on the edge's clock. */
export type Freshness = { freshUntilMs: number; staleUntilMs: number };
/** Longest time that an origin may let its answers be shown while it fails. Unit: ms. */
const MOST_STALE_MS = 86_400_000;

/**
 * Judges an answer with status 200.
 * @param headers of the origin's answer
 * @param arrivedMs when its head arrived, on the edge's clock
 * @param asked `_HLS_msn` and `_HLS_part` of the request
 * @returns null: must not be kept. No freshness is guessed: an answer without max-age is not kept.
 */
export function freshnessOf(
  kind: RouteKind,
  headers: Headers,
  arrivedMs: number,
  asked: Asked | null = null,
): Freshness | null {
  const terms = cacheTermsOf(headers);
  if (terms === null || headers['vary'] === '*' || headers[names.policy] === 'signed') return null;
  const rule = rules[kind];
  const maxAgeMs = Math.max(0, terms.freshMs);
  const position = headers[names.position];
  const isLive = position !== undefined || (kind === 'mpd' && maxAgeMs <= LIVE_MPD_AGE_MS);
  if ((kind === 'media-playlist' || kind === 'mpd') && isLive) {
    if (asked !== null && isExact(asked, position)) {
      const untilMs = arrivedMs + Math.min(maxAgeMs, EXACT_FRESH_MS);
      return { freshUntilMs: untilMs, staleUntilMs: untilMs };
    }
    const freshUntilMs = arrivedMs + Math.min(maxAgeMs, LIVE_FRESH_MS);
    return { freshUntilMs, staleUntilMs: terms.isStrict ? freshUntilMs : arrivedMs + LIVE_STALE_MS - terms.ageMs };
  }
  const freshUntilMs = arrivedMs + Math.min(maxAgeMs, rule.maxFreshMs);
  const staleMs = Math.min(MOST_STALE_MS, terms.staleIfErrorMs ?? rule.staleIfErrorMs);
  return { freshUntilMs, staleUntilMs: freshUntilMs + (terms.isStrict ? 0 : staleMs) };
}

/** Shorter is not worth a file. Unit: ms. */
const DISK_FRESH_MS = 3_600_000;

/** Whether an object of this kind is worth a place on disk. */
export const isForDisk = (kind: RouteKind, { freshUntilMs }: Freshness, nowMs: number): boolean =>
  rules[kind].isForDisk && freshUntilMs - nowMs >= DISK_FRESH_MS;

/** When an answer was made, on the edge's clock: what it spent in caches on its way counts. @param arrivedMs when its head came */
export const madeMs = (headers: Headers, arrivedMs: number): number => arrivedMs - (cacheTermsOf(headers)?.ageMs ?? 0);

/** How long a 404 may be repeated without asking again. Unit: ms; 0: not at all, as for a part, which may come any moment. */
export const negativeFreshMs = (kind: RouteKind, headers: Headers): number =>
  kind === 'part' ? 0 : Math.min(Math.max(0, cacheTermsOf(headers)?.freshMs ?? 0), NEGATIVE_FRESH_MS);

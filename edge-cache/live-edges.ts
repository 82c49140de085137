// How far each live broadcast was served here, and how long its segments are: what an answer must not lie behind, what an origin may hold back.
import { LIVE_TARGET_DURATION_S, LONGEST_WAIT_TARGETS } from '../platform/contract/latency.ts';
import { comparePositions, type Position, parsePosition } from '../platform/contract/timeline.ts';
import { dropOldest } from '../platform/runtime/bounded-map.ts';

/** `_HLS_msn` and `_HLS_part` of a request; part null: the whole segment. */
export type Asked = { msn: number; part: number | null };

const MAX_SUBJECTS = 10_000;
/** After this long without an accepted answer an older position is believed: a guard must never lock a stream for good. Unit: ms. */
const FORGET_MS = 12_000;
/** Origins hold an answer back for LONGEST_WAIT_TARGETS; what comes later than this on top is not coming. Unit: ms. */
const GRACE_MS = 2_000;
/** Less than the listeners' idle limit, whatever a playlist says. Unit: ms. */
const LONGEST_HOLD_MS = 28_000;

type Edge = { newest: Position; targetS: number; atMs: number };

/**
 * One entry per subject: the content of media playlists (its renditions share one timeline), the playback id of a manifest.
 * Plain answers are judged by the newest position that any answer has shown; an answer to `_HLS_msn` by what was asked alone,
 * because it rightly shows the stream as it was then.
 */
export class LiveEdges {
  readonly #edges = new Map<string, Edge>();

  /**
   * Whether an answer must be refused: it takes the viewer back, or shows less than was asked.
   * @param asked null: a plain request
   * @param text the Headwater-Position header; absent or unreadable is never behind
   */
  isBehind(subject: string, asked: Asked | null, text: string | undefined, nowMs: number): boolean {
    const position = text === undefined ? null : parsePosition(text);
    if (position === null) return false;
    if (asked !== null) return isBefore(position, asked);
    const edge = this.#recent(subject, nowMs);
    return edge !== null && comparePositions(position, edge.newest) < 0;
  }

  /**
   * Remembers an accepted answer.
   * @param targetS EXT-X-TARGETDURATION; null keeps what is known
   */
  note(subject: string, text: string | undefined, targetS: number | null, nowMs: number): void {
    const position = text === undefined ? null : parsePosition(text);
    const before = this.#recent(subject, nowMs);
    this.#edges.delete(subject);
    if (position === null) return;
    const isAhead = before === null || comparePositions(position, before.newest) >= 0;
    this.#edges.set(subject, {
      newest: isAhead ? position : before.newest,
      targetS: targetS ?? before?.targetS ?? LIVE_TARGET_DURATION_S,
      // An older one proves nothing: only news keeps the guard up.
      atMs: isAhead ? nowMs : before.atMs,
    });
    dropOldest(this.#edges, MAX_SUBJECTS);
  }

  /** Whether some answer has already shown this place: then every origin that keeps up can answer at once. */
  hasShown(subject: string, asked: Asked, nowMs: number): boolean {
    const edge = this.#recent(subject, nowMs);
    if (edge === null) return false;
    // A whole segment is there when a later one has begun.
    return asked.part === null ? edge.newest.msn > asked.msn : !isBefore(edge.newest, asked);
  }

  /** Whether the subject is on air as far as this edge has seen. */
  isLive(subject: string, nowMs: number): boolean {
    return this.#recent(subject, nowMs) !== null;
  }

  /** Longest wait for an answer that an origin may hold back. Unit: ms. */
  holdMs(subject: string, nowMs: number): number {
    const targetS = this.#recent(subject, nowMs)?.targetS ?? LIVE_TARGET_DURATION_S;
    return Math.min(LONGEST_HOLD_MS, targetS * LONGEST_WAIT_TARGETS * 1_000 + GRACE_MS);
  }

  #recent(subject: string, nowMs: number): Edge | null {
    const edge = this.#edges.get(subject);
    return edge === undefined || nowMs - edge.atMs > Math.max(FORGET_MS, edge.targetS * 6_000) ? null : edge;
  }
}

/** The epoch is no part of what a player asks: sequence numbers go on over it. */
const isBefore = (position: Position, asked: Asked): boolean =>
  position.msn < asked.msn || (position.msn === asked.msn && asked.part !== null && position.part < asked.part);

/**
 * Whether an answer to `_HLS_msn` shows the stream as of the place asked for, so that it stays right: the place itself, or the
 * next segment's first part for a part beyond a segment's last (rfc8216bis, 6.2.5.2). Else it shows the newest state.
 */
export function isExact(asked: Asked, text: string | undefined): boolean {
  const position = text === undefined ? null : parsePosition(text);
  if (position === null) return false;
  return position.msn === asked.msn || position.msn === asked.msn + 1;
}

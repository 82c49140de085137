// Delivery directives of live playlists: which place of the timeline an answer shows, and whether it is worth waiting for.
import { PARTS_KEPT_TARGETS } from '../contract/latency.ts';
import type { Position } from '../contract/timeline.ts';
import type { LiveTimeline } from './live-timeline.ts';

/** `_HLS_msn` and `_HLS_part`; part null: the whole segment is wanted. */
export type Reload = { msn: number; part: number | null };
export type Directives = { reload: Reload | null; isDelta: boolean };

const NUMBER = /^\d{1,12}$/;

/**
 * Reads the three directives of a media playlist's query; other names are none of ours.
 * @param query value of a name; null: not given
 * @returns null when they make no sense: answer 400
 * Source: rfc8216bis, 6.2.5.2.
 */
export function parseDirectives(query: (name: string) => string | null): Directives | null {
  const [msn, part, skip] = [query('_HLS_msn'), query('_HLS_part'), query('_HLS_skip')];
  if (msn === null && part !== null) return null;
  if ((msn !== null && !NUMBER.test(msn)) || (part !== null && !NUMBER.test(part))) return null;
  if (skip !== null && skip !== 'YES' && skip !== 'v2') return null;
  const reload = msn === null ? null : { msn: Number(msn), part: part === null ? null : Number(part) };
  return { reload, isDelta: skip !== null };
}

type Timeline = Pick<LiveTimeline, 'position' | 'newest' | 'partsOf' | 'segmentAt'>;

/** Newest place that a playlist shows: a part, or without parts the last one of a closed segment. Null while there is none. */
export function newestPlace(timeline: Timeline, hasParts: boolean): Position | null {
  if (hasParts) return timeline.position();
  const newest = timeline.newest();
  return newest === null ? null : { epoch: newest.epoch, msn: newest.msn, part: newest.lastPart };
}

/**
 * The place that the answer to a blocking reload shows: the first that holds what is asked for. A part beyond the last of a finished
 * segment is the first one of the next; a number that nobody took is there as soon as a later one is. What lies more than three target
 * durations behind the newest place is answered as of that.
 * @returns null when it is not there yet
 */
export function reloadPlace(timeline: Timeline, reload: Reload, hasParts: boolean): Position | null {
  const newest = newestPlace(timeline, hasParts);
  if (newest === null || reload.msn > newest.msn) return null;
  if (reload.msn < newest.msn - PARTS_KEPT_TARGETS) return newest;
  for (let { msn } = reload; msn <= newest.msn; msn += 1) {
    const closed = timeline.segmentAt(msn);
    const end = closed === null ? null : { epoch: closed.epoch, msn, part: closed.lastPart };
    const wanted = msn === reload.msn ? reload.part : 0;
    if (!hasParts || wanted === null) {
      if (end !== null) return end;
      continue;
    }
    const entry = timeline.partsOf(msn).find((part) => part.part >= wanted);
    if (entry !== undefined) return { epoch: entry.epoch, msn, part: entry.part };
    if (end !== null && wanted <= end.part) return end;
    if (msn === newest.msn && end === null) return null;
  }
  return null;
}

/** Parts that a reload may ask for beyond the newest. Source: rfc8216bis, 6.2.5.2 (Advance Part Limit). */
export const advanceParts = (partTargetS: number): number => (partTargetS < 1 ? Math.ceil(3 / partTargetS) : 3);

/**
 * Whether a reload asks for something so far ahead that no playlist can have led to it.
 * @param partTargetS null: without parts
 */
export function isTooFar(newest: Position, reload: Reload, partTargetS: number | null): boolean {
  if (reload.msn > newest.msn + 2) return true;
  if (partTargetS === null || reload.part === null || reload.msn < newest.msn) return false;
  const known = reload.msn === newest.msn ? newest.part : -1;
  return reload.part > known + advanceParts(partTargetS);
}

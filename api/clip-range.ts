// Which segments a clip shows: the wanted start and end widened to segment boundaries. Pure; each refusal says what would be possible.
import { RequestInvalid } from './errors.ts';
import { playableOf, sumOf, type TableSegment } from './segment-table.ts';

/** Unit: s from the source's start for assets, ms since the epoch for broadcasts. */
export type Span = { start: number; end: number };
export type ClipRange = {
  fromMsn: number;
  toMsn: number;
  /** After widening, in the unit of what was wanted. */
  real: Span;
  durationS: number;
  bytes: number;
};

/** A duration as answered is rounded: an end this much beyond it still means the end. Unit: s. */
const ROUNDING_S = 0.1;
/** An end this much after the newest whole segment of a running broadcast means the live edge. Unit: ms. */
const EDGE_MS = 10_000;

const inSeconds = (seconds: number): string => `${Math.round(seconds * 1_000) / 1_000} s`;
const asClock = (ms: number): string => new Date(ms).toISOString();

function requireOrder({ start, end }: Span): void {
  if (!(end > start)) throw new RequestInvalid(['end: must be after start']);
}

function rangeOf(shown: TableSegment[], real: Span): ClipRange {
  const first = shown.at(0);
  const last = shown.at(-1);
  if (first === undefined || last === undefined)
    throw new RequestInvalid(['nothing was recorded between start and end']);
  return { fromMsn: first.msn, toMsn: last.msn, real, ...sumOf(shown) };
}

/**
 * Range by seconds from the start of an asset, as its player shows them: gaps take no time.
 * @throws RequestInvalid end before start, outside the source, longer than the source
 */
export function rangeBySeconds(segments: TableSegment[], wanted: Span): ClipRange {
  requireOrder(wanted);
  const playable = playableOf(segments);
  const { durationS: lengthS } = sumOf(playable);
  if (playable.length === 0) throw new RequestInvalid(['source: nothing was recorded there']);
  if (wanted.start < 0 || wanted.start >= lengthS)
    throw new RequestInvalid([`start: must be between 0 and ${inSeconds(lengthS)}, the length of the source`]);
  if (wanted.end > lengthS + ROUNDING_S) throw new RequestInvalid([`end: the source is ${inSeconds(lengthS)} long`]);
  const shown: TableSegment[] = [];
  const real = { start: 0, end: 0 };
  let at = 0;
  for (const segment of playable) {
    const end = at + segment.durationS;
    if (end > wanted.start && at < wanted.end) {
      if (shown.length === 0) real.start = at;
      real.end = end;
      shown.push(segment);
    }
    at = end;
  }
  return rangeOf(shown, real);
}

const endOf = (segment: TableSegment): number => segment.pdt + segment.durationS * 1_000;

/** Wall clock of what a broadcast has: first frame, and end of its newest whole segment; null before there is one. */
export function clockSpan(segments: TableSegment[]): Span | null {
  const playable = playableOf(segments);
  const first = playable.at(0);
  const last = playable.at(-1);
  return first === undefined || last === undefined ? null : { start: first.pdt, end: endOf(last) };
}

/**
 * Range by wall clock inside a broadcast.
 * @param wanted ms since the epoch
 * @throws RequestInvalid end before start, outside what was broadcast, nothing recorded there
 */
export function rangeByClock(segments: TableSegment[], wanted: Span): ClipRange {
  requireOrder(wanted);
  const span = clockSpan(segments);
  if (span === null) throw new RequestInvalid(['source: nothing was recorded there yet']);
  const has = `the broadcast has ${asClock(span.start)} to ${asClock(span.end)}`;
  if (wanted.end > span.end + EDGE_MS) throw new RequestInvalid([`end: ${asClock(wanted.end)} is to come; ${has}`]);
  const end = Math.min(wanted.end, span.end);
  if (wanted.start >= span.end) throw new RequestInvalid([`start: ${asClock(wanted.start)} is to come; ${has}`]);
  const shown = playableOf(segments).filter((segment) => endOf(segment) > wanted.start && segment.pdt < end);
  const [first] = shown;
  if (wanted.start < span.start && (first === undefined || first.pdt > wanted.start)) {
    const isLonger = wanted.end - wanted.start > span.end - span.start;
    if (isLonger) throw new RequestInvalid([`start: the clip would be longer than the broadcast; ${has}`]);
    throw new RequestInvalid([`start: ${asClock(wanted.start)} was before the broadcast; ${has}`]);
  }
  const last = shown.at(-1);
  return rangeOf(shown, { start: first?.pdt ?? 0, end: last === undefined ? 0 : endOf(last) });
}

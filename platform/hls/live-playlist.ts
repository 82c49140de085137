// The live media playlist of one rendition as of one place in its timeline: window, parts, gaps, epochs, delta updates.
import type { RenditionName } from '../contract/ids.ts';
import {
  HOLD_BACK_TARGETS,
  PART_HOLD_BACK_TARGETS,
  PARTS_KEPT_TARGETS,
  SKIP_UNTIL_TARGETS,
} from '../contract/latency.ts';
import type { EpochInfo } from '../contract/records.ts';
import type { Position } from '../contract/timeline.ts';
import { LiveRendition } from './live-rendition.ts';
import type { LiveSegment, LiveTimeline, SegmentRun } from './live-timeline.ts';
import { attributeTag, dateTag, LIVE_PLAYLIST_VERSION, playlistText, quoted, valueTag } from './tags.ts';

export type LivePlaylist = {
  timeline: Pick<LiveTimeline, 'runs' | 'partsOf' | 'segmentAt' | 'capacity'>;
  /** Epochs of the broadcast record, ascending; those after `at` do not matter, segments of unknown ones are left out. */
  epochs: readonly EpochInfo[];
  rendition: RenditionName;
  /** The newest part shown; in playlists without parts, the last part of the newest segment shown. */
  at: Position;
  /** Nothing follows: no parts, no hint, EXT-X-ENDLIST. */
  isEnded: boolean;
  /** Leave out what is older than the skip boundary (EXT-X-SKIP). */
  isDelta: boolean;
};

/** How many segments a window of `windowS` seconds holds: whole target durations, the same in every rendition and epoch. */
export const windowSegments = (windowS: number, targetDurationS: number): number =>
  Math.ceil(windowS / targetDurationS);

/** Text of whole runs of closed segments, kept as long as the timeline holds them. One for each timeline. */
export class RunTexts {
  private readonly held = new WeakMap<SegmentRun, Map<RenditionName, { version: number; text: string }>>();

  of(run: SegmentRun, rendition: RenditionName, write: () => string): string {
    const texts = this.held.get(run) ?? new Map<RenditionName, { version: number; text: string }>();
    this.held.set(run, texts);
    const known = texts.get(rendition);
    if (known !== undefined && known.version === run.version) return known.text;
    const text = write();
    texts.set(rendition, { version: run.version, text });
    return text;
  }
}

/**
 * The text of a live media playlist: a pure function of the entries up to `at` and the epochs they belong to, whatever else the
 * timeline holds. Every rendition lists the same media sequence numbers and parts; where one has no object, or no segment has the
 * number, it says EXT-X-GAP. EXT-X-DISCONTINUITY-SEQUENCE is the epoch of the first segment, so it stays right however much of the
 * timeline a reader has seen.
 * @param texts kept text of this timeline; unset: everything is written anew
 * @returns null when no closed segment can be listed
 * Source: RFC 8216; rfc8216bis, 4.4.3.7, 4.4.3.8, 4.4.4.7, 4.4.4.9, 4.4.5.2 to 4.4.5.4, 6.2.5.
 */
export function livePlaylist(live: LivePlaylist, texts: RunTexts = new RunTexts()): string | null {
  return new LiveWriter(live, texts).write();
}

/** What stands before the next line: the number, epoch and initialisation segment last in force. */
type Reached = { msn: number; epoch: number; mapUri: string | null };

class LiveWriter {
  private readonly live: LivePlaylist;
  private readonly texts: RunTexts;
  private readonly rendition: LiveRendition;
  private readonly epochs: readonly EpochInfo[];
  private readonly hasParts: boolean;
  private readonly lines: string[] = [];
  private reached: Reached | null = null;

  constructor(live: LivePlaylist, texts: RunTexts) {
    this.live = live;
    this.texts = texts;
    this.epochs = live.epochs.filter((epoch) => epoch.epoch <= live.at.epoch);
    this.rendition = new LiveRendition(live.rendition, this.epochs);
    this.hasParts = !live.isEnded && (this.epochs[0]?.part_target ?? null) !== null;
  }

  write(): string | null {
    const { at, timeline } = this.live;
    const newest = this.lastShown();
    if (newest === null) return null;
    const from = newest.msn - timeline.capacity + 1;
    const runs = timeline.runs().filter((run) => isWithin(run, from, newest.msn) && this.rendition.knows(run.epoch));
    const first = runs[0]?.segments.find((segment) => segment.msn >= from);
    if (first === undefined) return null;
    const isOpen = newest.msn < at.msn;
    const skipTo = this.live.isDelta ? this.skipBoundary(first, isOpen) : first.msn;
    this.header(first, skipTo - first.msn);
    if (skipTo > first.msn) this.reached = this.reachedBefore(skipTo);
    // Parts leave when they lie more than three target durations before the end: the open segment is one of them.
    const partsFrom = this.hasParts
      ? (isOpen ? at.msn : at.msn + 1) - PARTS_KEPT_TARGETS + 1
      : Number.POSITIVE_INFINITY;
    for (const run of runs) this.run(run, Math.max(from, skipTo), newest.msn, partsFrom);
    if (this.hasParts && isOpen) this.openSegment();
    if (this.live.isEnded) this.lines.push('#EXT-X-ENDLIST');
    else this.outlook();
    return playlistText(this.lines);
  }

  /** Newest closed segment that `at` shows. */
  private lastShown(): LiveSegment | null {
    const { at, timeline } = this.live;
    const isShown = (segment: LiveSegment) =>
      (segment.msn < at.msn || (segment.msn === at.msn && segment.lastPart <= at.part)) &&
      this.rendition.knows(segment.epoch);
    return (
      timeline
        .runs()
        .findLast((run) => run.segments.some(isShown))
        ?.segments.findLast(isShown) ?? null
    );
  }

  private header(first: LiveSegment, skipped: number): void {
    const [epoch] = this.epochs;
    const targetS = epoch?.target_duration ?? 0;
    const partS = epoch?.part_target ?? null;
    this.lines.push(
      valueTag('EXT-X-VERSION', LIVE_PLAYLIST_VERSION),
      valueTag('EXT-X-TARGETDURATION', targetS),
      attributeTag('EXT-X-SERVER-CONTROL', {
        'CAN-BLOCK-RELOAD': 'YES',
        'CAN-SKIP-UNTIL': decimal(SKIP_UNTIL_TARGETS * targetS),
        'PART-HOLD-BACK': partS === null ? null : decimal(PART_HOLD_BACK_TARGETS * partS),
        'HOLD-BACK': decimal(HOLD_BACK_TARGETS * targetS),
      }),
    );
    if (partS !== null) this.lines.push(attributeTag('EXT-X-PART-INF', { 'PART-TARGET': decimal(partS) }));
    this.lines.push(valueTag('EXT-X-MEDIA-SEQUENCE', first.msn));
    if (first.epoch > 0) this.lines.push(valueTag('EXT-X-DISCONTINUITY-SEQUENCE', first.epoch));
    // Pass-through ends a segment at the target duration even when the source sends no key frame by then.
    if (epoch?.grid !== 'copy') this.lines.push('#EXT-X-INDEPENDENT-SEGMENTS');
    if (skipped > 0) this.lines.push(attributeTag('EXT-X-SKIP', { 'SKIPPED-SEGMENTS': skipped }));
  }

  /** Segments of a run from `from` to `to`, both included; the whole run's text is kept when all of it is listed without parts. */
  private run(run: SegmentRun, from: number, to: number, partsFrom: number): void {
    const [first] = run.segments;
    const last = run.segments.at(-1);
    if (first === undefined || last === undefined || last.msn < from) return;
    if (first.msn < from || last.msn > Math.min(to, partsFrom - 1)) {
      for (const segment of run.segments) {
        if (segment.msn >= from && segment.msn <= to) this.segment(segment, segment.msn >= partsFrom);
      }
      return;
    }
    this.lead(first);
    this.lines.push(this.texts.of(run, this.rendition.name, () => this.runText(run)));
    this.reached = { msn: last.msn, epoch: last.epoch, mapUri: this.reached?.mapUri ?? null };
  }

  /** Without what stands before the first segment: that depends on what is listed before it. */
  private runText(run: SegmentRun): string {
    const lines: string[] = [];
    let next = run.segments[0]?.msn ?? 0;
    for (const segment of run.segments) {
      for (; next < segment.msn; next += 1) lines.push(...this.rendition.missingLines(next, segment));
      lines.push(...this.rendition.segmentLines(segment));
      next = segment.msn + 1;
    }
    return lines.join('\n');
  }

  private segment(segment: LiveSegment, withParts: boolean): void {
    this.lead(segment);
    const [wallClock = '', ...rest] = this.rendition.segmentLines(segment);
    this.lines.push(wallClock);
    if (withParts) this.parts(segment, segment.lastPart);
    this.lines.push(...rest);
  }

  private parts({ epoch, msn }: { epoch: number; msn: number }, upTo: number): void {
    for (const entry of this.live.timeline.partsOf(msn)) {
      const line = entry.epoch === epoch && entry.part <= upTo ? this.rendition.partLine(entry) : null;
      if (line !== null) this.lines.push(line);
    }
  }

  private openSegment(): void {
    const { at, timeline } = this.live;
    const first = timeline.partsOf(at.msn).find((entry) => entry.epoch === at.epoch);
    if (first === undefined || !this.rendition.knows(at.epoch)) return;
    this.lead(first);
    this.lines.push(dateTag(first.pdt));
    this.parts(at, at.part);
  }

  /** Discontinuity, initialisation segment and numbers without a segment, as far as they stand between the last line and this segment. */
  private lead(segment: { epoch: number; msn: number; pdt: number }): void {
    const { reached } = this;
    // One tag per step: when the segments before have left, EXT-X-DISCONTINUITY-SEQUENCE grows by just the tags that left.
    const steps = reached === null ? 0 : segment.epoch - reached.epoch;
    for (let step = 0; step < steps; step += 1) this.lines.push('#EXT-X-DISCONTINUITY');
    const mapUri = this.rendition.mapUri(segment.epoch);
    if (mapUri !== null && mapUri !== reached?.mapUri) {
      this.lines.push(attributeTag('EXT-X-MAP', { URI: quoted(mapUri) }));
    }
    for (let msn = (reached?.msn ?? segment.msn - 1) + 1; msn < segment.msn; msn += 1) {
      this.lines.push(...this.rendition.missingLines(msn, segment));
    }
    this.reached = { msn: segment.msn, epoch: segment.epoch, mapUri: mapUri ?? reached?.mapUri ?? null };
  }

  /** Hint and reports: what players ask for next, here and in the other renditions. */
  private outlook(): void {
    const { at, timeline } = this.live;
    const newest = timeline.partsOf(at.msn).find((entry) => entry.part === at.part && entry.epoch === at.epoch);
    if (this.hasParts && newest !== undefined) this.lines.push(this.rendition.hintLine(newest));
    const names = new Set(this.epochs.flatMap((epoch) => epoch.renditions.map((info) => info.name)));
    names.delete(this.rendition.name);
    for (const name of [...names].sort()) {
      this.lines.push(
        attributeTag('EXT-X-RENDITION-REPORT', {
          URI: quoted(`../${name}/index.m3u8`),
          'LAST-MSN': at.msn,
          'LAST-PART': this.hasParts ? at.part : null,
        }),
      );
    }
  }

  /** First number that a delta update lists: what ends more than the skip boundary before the end of the playlist is left out. */
  private skipBoundary(first: LiveSegment, isOpen: boolean): number {
    const { at, timeline } = this.live;
    let leftS = SKIP_UNTIL_TARGETS * (this.epochs[0]?.target_duration ?? 0);
    if (isOpen) {
      for (const entry of timeline.partsOf(at.msn)) {
        if (entry.part <= at.part) leftS -= this.rendition.partDurationS(entry);
      }
    }
    let { epoch } = at;
    let msn = isOpen ? at.msn - 1 : at.msn;
    for (; msn >= first.msn && leftS > 0; msn -= 1) {
      const segment = timeline.segmentAt(msn);
      leftS -= segment === null ? this.rendition.missingS(epoch) : this.rendition.durationS(segment);
      epoch = segment?.epoch ?? epoch;
    }
    return Math.max(first.msn, msn + 1);
  }

  /** As if everything before the number had been written. A number that no segment took belongs to the epoch after it. */
  private reachedBefore(msn: number): Reached {
    const { at, timeline } = this.live;
    let { epoch } = at;
    for (let near = msn - 1; near < at.msn; near += 1) {
      const segment = timeline.segmentAt(near);
      if (segment === null) continue;
      epoch = segment.epoch;
      break;
    }
    return { msn: msn - 1, epoch, mapUri: this.rendition.mapUri(epoch) };
  }
}

const isWithin = (run: SegmentRun, from: number, to: number): boolean =>
  (run.segments.at(-1)?.msn ?? -1) >= from && (run.segments[0]?.msn ?? to + 1) <= to;

/** At most three decimals, none that say nothing. */
const decimal = (value: number): number => Number(value.toFixed(3));

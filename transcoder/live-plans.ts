// What comes next in a broadcast: the epoch of the record goes on, or a new one begins. Reads the feed as far as it must, and puts back what
// an engine needs.
import type { ObjectStorage } from '../platform/adapters/storage.ts';
import type { ContentId, SessionId } from '../platform/contract/ids.ts';
import { type FrameRate, gridFor, LIVE_TARGET_DURATION_S } from '../platform/contract/latency.ts';
import { initKey } from '../platform/contract/object-keys.ts';
import type { BroadcastRecord, EpochInfo, RenditionInfo } from '../platform/contract/records.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { readInit } from '../platform/hls/cmaf.ts';
import { type CopyPlan, copyPlace, planCopy, planCopyResume } from './live-copy-plan.ts';
import type { AudioPlan, EncodePlan } from './live-encode.ts';
import type { FeedItem, LiveFeed } from './live-feed.ts';
import { frameOf, gapGridOf, gridOf, indexOfSegment, newGrid, secondsOfFrame } from './live-grid.ts';
import type { LiveHistory } from './live-history.ts';
import { audioForResume, type ProbeOptions, type Shown, type SourceInfo } from './live-probe.ts';
import type { RingPlace } from './live-ring.ts';
import { liveRungs, rungsOf } from './live-rungs.ts';

export type EngineWork = { mode: 'encode'; plan: EncodePlan } | { mode: 'copy'; plan: CopyPlan };
/** An epoch to write: a new one, or one that goes on from `firstMsn`. */
export type Epoch = {
  info: EpochInfo;
  isNew: boolean;
  firstMsn: number;
  /** Track whose frames fill the parts: the first rendition's. */
  leading: 'video' | 'audio';
  work: EngineWork;
};
export type Resume = { info: EpochInfo; msn: number };
/** Where the ring is read from, and what of it viewers have already. */
export type Start = { place: RingPlace; resume: Resume | null; shown: Shown | null };

export type PlanOptions = { content: ContentId; preset: string; maxRungs: number };
/** What of the history plans are made from. */
type PublishedEntries = Pick<LiveHistory, 'entries' | 'lastEntry' | 'head' | 'nextMsn'>;
export type PlanDeps = { storage: Pick<ObjectStorage, 'read'>; history: PublishedEntries };

/** Asked of the ring before the first frame wanted: B-frames put a key frame's picture later than its timestamp. Unit: ms. */
const REORDER_MARGIN_MS = 250;
/** The end of sound by its own clock, against the whole ms of the publisher's. Unit: ms. */
const AUDIO_TOLERANCE_MS = 5;
/** Sound alone is cut between its own frames, so a whole segment may end this long before its time. Unit: ms. */
const AUDIO_CUT_MS = 70;

export class EpochPlanner {
  readonly #options: PlanOptions;
  readonly #deps: PlanDeps;

  constructor(options: PlanOptions, deps: PlanDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The first segment that is not complete in the timeline; after a gap, what was not shown yet. */
  resumeStart(record: BroadcastRecord): Start {
    const info = record.epochs.at(-1);
    if (info === undefined) return { place: { from: 'start' }, resume: null, shown: null };
    const { history } = this.#deps;
    const last = history.lastEntry();
    if (info.source === 'slate' || (last?.gap === true && last.epoch === info.epoch)) return this.freshStart(record);
    const shown = this.#shown(record);
    if (info.grid === 'copy') {
      const { msn, ts } = copyPlace(info, entriesOf(history, info.epoch));
      return { place: { session: info.session, ts }, resume: { info, msn }, shown };
    }
    const isInEpoch = last !== null && last.epoch === info.epoch && history.head !== null;
    const msn = isInEpoch ? last.msn + (last.last ? 1 : 0) : info.msn0;
    const grid = gridOf(info);
    const beginsAt = 1_000 * secondsOfFrame(grid.firstFrame + indexOfSegment(grid, msn), info.fps) + grid.phaseMs;
    // Closed before its time by a worker that then went: the grid would leave out what came after it.
    if (isInEpoch && last.last && shown !== null && shown.ts + cutMs(info) < beginsAt) return this.freshStart(record);
    return { place: { session: info.session, ts: beginsAt - REORDER_MARGIN_MS }, resume: { info, msn }, shown };
  }

  /** A new epoch from the first frame that was not shown. */
  freshStart(record: BroadcastRecord): Start {
    const shown = this.#shown(record);
    if (shown === null || shown.ts === Number.POSITIVE_INFINITY)
      return { place: { from: 'start' }, resume: null, shown };
    return { place: { session: shown.session, ts: shown.ts - REORDER_MARGIN_MS }, resume: null, shown };
  }

  /** How far the newest session in the timeline was shown; null: not known. */
  #shown(record: BroadcastRecord): Shown | null {
    const entries = this.#deps.history.entries();
    const slates = new Set(record.epochs.filter(({ source }) => source === 'slate').map(({ epoch }) => epoch));
    const last = entries.findLast((entry) => !entry.gap && !slates.has(entry.epoch));
    const newest = record.epochs.findLast(({ source }) => source === 'publisher');
    // Nothing but gaps for longer than entries are kept: all of that session was shown.
    if (last === undefined && entries.length > 0 && newest !== undefined) {
      return { session: newest.session, ts: Number.POSITIVE_INFINITY };
    }
    const info = record.epochs.find((epoch) => epoch.epoch === last?.epoch);
    const lead = info?.renditions[0];
    const part = lead === undefined ? undefined : last?.renditions[lead.name];
    if (info === undefined || lead === undefined || part === undefined) return null;
    return { session: info.session, ts: (1_000 * (part.tfdt + part.duration)) / lead.timescale + beyondMs(info) };
  }

  /**
   * Goes on with an epoch.
   * @param limitMs longest wait for media
   * @returns null when the ring begins after the place wanted, or with another session, or holds nothing new of it
   */
  async resume(feed: LiveFeed, { info, msn }: Resume, limitMs: number): Promise<Epoch | null> {
    if (info.grid === 'copy') {
      const plan = await planCopyResume(feed, info, entriesOf(this.#deps.history, info.epoch));
      return plan === null
        ? null
        : { info, isNew: false, firstMsn: msn, leading: 'video', work: { mode: 'copy', plan } };
    }
    const grid = gridOf(info);
    const startFrame = grid.firstFrame + indexOfSegment(grid, msn);
    if (!(await hasContent(feed, info, startFrame, limitMs))) return null;
    const audio = info.renditions.find((rendition) => rendition.kind === 'audio');
    const plan: EncodePlan = {
      grid,
      firstMsn: msn,
      rungs: rungsOf(info.renditions),
      preset: this.#options.preset,
      audio: audio === undefined ? null : await this.#resumeAudio(feed, info.epoch, audio),
      audioContinuesAt: audio === undefined ? null : this.#audioEnd(info.epoch, msn, audio),
      headers: { ...feed.headers },
    };
    const leading = info.renditions[0]?.kind ?? 'video';
    return { info, isNew: false, firstMsn: msn, leading, work: { mode: 'encode', plan } };
  }

  async #resumeAudio(feed: LiveFeed, epoch: number, audio: RenditionInfo): Promise<AudioPlan> {
    const source = audioForResume(feed, audio.timescale);
    const bitrateBps = audio.average_bandwidth;
    if (source !== null) return { from: 'source', isCopied: source.isCopied, bitrateBps };
    return this.#silence(epoch, audio);
  }

  async #silence(epoch: number, audio: RenditionInfo): Promise<AudioPlan> {
    const { body } = await this.#deps.storage.read(
      initKey({ content: this.#options.content, rendition: audio.name, epoch }),
    );
    const init = { kind: 'init', bytes: body, info: readInit(body) } as const;
    return { from: 'silence', init, bitrateBps: audio.average_bandwidth };
  }

  #audioEnd(epoch: number, msn: number, audio: RenditionInfo): number | null {
    const isBefore = (entry: TimelineEntry) => entry.epoch === epoch && entry.msn < msn && !entry.gap;
    const part = this.#deps.history.entries().findLast(isBefore)?.renditions[audio.name];
    return part === undefined ? null : part.tfdt + part.duration;
  }

  /**
   * A new epoch for a source.
   * @param dropped rungs of the ladder left out, from the top
   */
  async fresh(feed: LiveFeed, record: BroadcastRecord, source: SourceInfo, dropped: number): Promise<Epoch> {
    const { latency_mode: mode, epochs } = record;
    const [first] = epochs;
    const msn0 = this.#deps.history.nextMsn;
    const grid = newGrid(mode, source.fps, source.ts0, msn0);
    const info: EpochInfo = {
      epoch: (epochs.at(-1)?.epoch ?? -1) + 1,
      session: feed.session ?? ('' as SessionId),
      started_at: Date.now(),
      ts0: source.ts0,
      msn0,
      pdt0: Math.max(source.pdt0, this.clockAtEnd(record)),
      fps: source.fps,
      part_frames: grid.partFrames,
      gop_frames: grid.gopFrames,
      segment_frames: grid.segmentFrames,
      part_target: gridFor(mode, source.fps).partTargetS,
      target_duration: LIVE_TARGET_DURATION_S,
      renditions: [],
      grid: 'frames',
      source: 'publisher',
    };
    const plan: EncodePlan = {
      grid,
      firstMsn: msn0,
      rungs: this.#rungs(first, source).slice(dropped),
      preset: this.#options.preset,
      audio: await this.#newAudio(source, first),
      audioContinuesAt: null,
      headers: { ...feed.headers },
    };
    const leading = plan.rungs.length > 0 ? 'video' : 'audio';
    return { info, isNew: true, firstMsn: msn0, leading, work: { mode: 'encode', plan } };
  }

  /** A broadcast keeps the renditions that it began with. */
  #rungs(first: EpochInfo | undefined, { video }: SourceInfo) {
    if (first !== undefined) return rungsOf(first.renditions);
    return video === null ? [] : liveRungs(video.width, video.height, this.#options.maxRungs);
  }

  /** The first epoch decides whether there is audio; later ones keep to it. */
  async #newAudio(source: SourceInfo, first: EpochInfo | undefined): Promise<AudioPlan | null> {
    const known = first?.renditions.find((rendition) => rendition.kind === 'audio');
    if (first !== undefined && known === undefined) return null;
    const { audio } = source;
    if (audio !== null) return { from: 'source', isCopied: audio.isCopied, bitrateBps: audio.bitrateBps };
    return first !== undefined && known !== undefined ? this.#silence(first.epoch, known) : null;
  }

  /** Whether the broadcast has a picture, and its shape is known. */
  canShowSlate(record: BroadcastRecord): boolean {
    return rungsOf(record.epochs[0]?.renditions ?? []).length > 0;
  }

  /** Size and rate of the slate: those of the top rung. */
  slateShape({ epochs }: BroadcastRecord): { width: number; height: number; fps: FrameRate } {
    const top = rungsOf(epochs[0]?.renditions ?? [])[0];
    const fps = epochs[0]?.fps ?? { num: 30, den: 1 };
    return { width: top?.width ?? 640, height: top?.height ?? 360, fps };
  }

  /** An epoch of the slate with the renditions of the broadcast, audio silent. @param pdt0 ms since the epoch */
  async slate(feed: LiveFeed, record: BroadcastRecord, pdt0: number): Promise<Epoch> {
    const first = await feed.next();
    feed.unread([first]);
    const { fps, ...video } = this.slateShape(record);
    const ts0 = 'pts' in first ? first.pts : 0;
    const epoch = await this.fresh(feed, record, { video, fps, audio: null, ts0, pdt0 }, 0);
    epoch.info = { ...epoch.info, source: 'slate' };
    return epoch;
  }

  /** Looks at a source that shall be passed through, as probeSource() does. @throws LiveGopOutOfRange LiveSourceUnsupported */
  probeCopy(feed: LiveFeed, record: BroadcastRecord, options: ProbeOptions): Promise<CopyPlan | 'over' | 'away'> {
    const epoch = (record.epochs.at(-1)?.epoch ?? -1) + 1;
    const msn0 = this.#deps.history.nextMsn;
    return planCopy(feed, { record, epoch, msn0, pdtFloor: this.clockAtEnd(record), ...options });
  }

  /** A new epoch of the source's own frames, after whatever was published while it was looked at. */
  freshCopy(record: BroadcastRecord, probed: CopyPlan): Epoch {
    const msn0 = this.#deps.history.nextMsn;
    const info = { ...probed.info, msn0, pdt0: Math.max(probed.info.pdt0, this.clockAtEnd(record)) };
    const plan = { ...probed, info, firstMsn: msn0 };
    return { info, isNew: true, firstMsn: msn0, leading: 'video', work: { mode: 'copy', plan } };
  }

  /** Wall clock at the end of what is published: what follows does not begin before it. Unit: ms since the epoch; 0: nothing is. */
  clockAtEnd(record: BroadcastRecord): number {
    // The entry that closes a segment left open stands at its last part, and has no length.
    for (const entry of this.#deps.history.entries().reverse()) {
      const lengthMs = lengthOf(entry, record);
      if (lengthMs > 0) return entry.pdt + lengthMs;
    }
    return 0;
  }
}

/** Unit: ms; 0 for an entry without media that is no gap. */
function lengthOf(entry: TimelineEntry, record: BroadcastRecord): number {
  const info = record.epochs.find(({ epoch }) => epoch === entry.epoch);
  if (info === undefined) return 0;
  if (entry.gap) return gapGridOf(info).partMs;
  const lead = info.renditions[0];
  const part = lead === undefined ? undefined : entry.renditions[lead.name];
  return lead === undefined || part === undefined ? 0 : (1_000 * part.duration) / lead.timescale;
}

const halfFrameMs = ({ fps }: EpochInfo): number => 500 * secondsOfFrame(1, fps);

/** From the end of what was shown, by the grid, to where a frame by the publisher's clock is new: in the middle between two frames. */
function beyondMs(info: EpochInfo): number {
  if (info.renditions[0]?.kind === 'audio') return -AUDIO_TOLERANCE_MS;
  return (info.grid === 'frames' ? gridOf(info).phaseMs : 0) - halfFrameMs(info);
}

/** What was shown of a whole segment ends at most this long before the next one. */
const cutMs = (info: EpochInfo): number =>
  info.renditions[0]?.kind === 'audio' ? AUDIO_CUT_MS : 2 * halfFrameMs(info);

const entriesOf = (history: PublishedEntries, epoch: number): TimelineEntry[] =>
  history.entries().filter((entry) => entry.epoch === epoch);

/** Whether the feed begins at or before a frame of the epoch's session and goes on to it. What is shown already is taken out otherwise. */
async function hasContent(feed: LiveFeed, info: EpochInfo, startFrame: number, limitMs: number): Promise<boolean> {
  const leading = info.renditions[0]?.kind ?? 'video';
  const grid = gridOf(info);
  const seen: FeedItem[] = [];
  for (;;) {
    const item = await feed.next(limitMs);
    if (item.type === 'end' || item.type === 'break' || item.type === 'away') {
      const isSilent = item.type === 'away' && item.reason === 'silent';
      feed.unread(isSilent ? seen : item.type === 'break' ? [] : [item]);
      return false;
    }
    const isOther = feed.session !== info.session;
    const isLate = seen.length === 0 && (item.type !== leading || frameOf(item.pts, grid) > startFrame);
    seen.push(item);
    if (isOther || isLate) {
      feed.unread(seen);
      return false;
    }
    if (item.type !== leading || frameOf(item.pts, grid) < startFrame) continue;
    feed.unread(seen);
    return true;
  }
}

// What the reconciler does for streams, broadcasts and their contents: endings that nobody brings, recordings, holders that leave, parts
// that nobody needs any more.
import type { BroadcastId, ContentId, StreamId } from '../platform/contract/ids.ts';
import type { BroadcastRecord, ContentRecord, StreamRecord } from '../platform/contract/records.ts';
import type { Holder } from './contents.ts';
import type { Forsaken } from './forsaken.ts';
import { PARTS_KEPT_MS } from './part-removal.ts';

/** When a thing wants the next look: `true` at the next pass, a number after that many ms, `false` not until something changes. */
export type NextLook = boolean | number;

export interface BroadcastRepairsDeps {
  /** Records of a kind by id; null when missing. */
  stream(id: StreamId): Promise<StreamRecord | null>;
  broadcast(id: BroadcastId): Promise<BroadcastRecord | null>;
  content(id: ContentId): Promise<ContentRecord | null>;
  /** Whether a holder's own record is there. */
  hasRecord(holder: Holder): Promise<boolean>;

  isCarried(broadcast: BroadcastId): Promise<boolean>;
  /** Null while the registry does not answer. */
  isIngestAlive(node: string): boolean | null;
  /** A worker still has objects of this broadcast on its disk. */
  isSpooled(broadcast: BroadcastId): boolean;
  /** Live -> ending, without a publisher. */
  beginEnding(id: BroadcastId): Promise<void>;
  /** A job for the next term: its worker closes what is open, stores the last block, ends the broadcast. */
  enqueueClosing(broadcast: BroadcastRecord): Promise<'added' | 'present'>;
  endBroadcast(id: BroadcastId): Promise<void>;
  /** @returns whether the recording was made now */
  record(broadcast: BroadcastRecord): Promise<boolean>;

  leave(content: ContentId, holder: Holder): Promise<void>;
  finishContentRemoval(content: ContentId): Promise<void>;
  /** One round. @returns whether all are gone */
  removeParts(broadcast: BroadcastRecord): Promise<boolean>;
  finishStreamRemoval(stream: StreamRecord): Promise<boolean>;
  /** Takes expired rotated keys out of the record. */
  dropOldKeys(stream: StreamRecord): Promise<void>;
  now(): number;
}

/** Beyond the reconnect window. Unit: ms. */
export const ABANDONED_MS = 15_000;
/** An ending broadcast without a worker gets a job after the first of these, and again after the second: a job that died shows by then. */
export const CLOSING_WAIT_MS = 5_000;
export const CLOSING_AGAIN_MS = 15_000;
const CLOSING_TRIES = 3;
/** After this without any worker it is ended as it stands. Unit: ms. */
export const CLOSING_LIMIT_MS = 120_000;
/** How long a broadcast that is not recorded can be watched after its end. Unit: ms. */
export const UNRECORDED_MS = 3_600_000;
/** A holder without a record was about to write it, or died. Unit: ms. */
export const DANGLING_MS = 60_000;

type Closing = { since: number; tries: number; lastAt: number };
type Report = (kind: string, id: string) => void;

export class BroadcastRepairs {
  private readonly deps: BroadcastRepairsDeps;
  private readonly forsaken: Forsaken;
  private readonly report: Report;
  private readonly closings = new Map<BroadcastId, Closing>();
  private readonly lastBroadcasts = new Map<StreamId, BroadcastId>();
  private readonly onStale: (broadcast: BroadcastId) => void;

  /** @param onStale called with a broadcast that its stream no longer shows */
  constructor(deps: BroadcastRepairsDeps, forsaken: Forsaken, report: Report, onStale: (id: BroadcastId) => void) {
    this.deps = deps;
    this.forsaken = forsaken;
    this.report = report;
    this.onStale = onStale;
  }

  async checkStream(id: StreamId): Promise<NextLook> {
    const stream = await this.deps.stream(id);
    if (stream === null) return false;
    this.noteBroadcast(stream);
    if (stream.status === 'deleting') {
      const isDone = await this.deps.finishStreamRemoval(stream);
      if (isDone) this.report('stream-deletion', id);
      return !isDone;
    }
    const now = this.deps.now();
    if (stream.old_keys.some(({ until }) => until <= now)) await this.deps.dropOldKeys(stream);
    const later = stream.old_keys.filter(({ until }) => until > now).map(({ until }) => until - now);
    return later.length > 0 && Math.min(...later) + 1;
  }

  /** The broadcast before leaves its content when the stream goes on to another. */
  private noteBroadcast({ id, broadcast_id }: StreamRecord): void {
    const before = this.lastBroadcasts.get(id);
    if (before !== undefined && before !== broadcast_id) this.onStale(before);
    if (broadcast_id !== null) this.lastBroadcasts.set(id, broadcast_id);
  }

  async checkBroadcast(id: BroadcastId): Promise<NextLook> {
    const broadcast = await this.deps.broadcast(id);
    if (broadcast === null) return false;
    if (broadcast.status === 'ended') return await this.checkEnded(broadcast);
    if (broadcast.status === 'ending') return await this.checkEnding(broadcast);
    const isTended = broadcast.ingest === null ? false : this.deps.isIngestAlive(broadcast.ingest.node);
    if (isTended === null) return true;
    const limitMs = broadcast.reconnect_window_s * 1_000 + ABANDONED_MS;
    if (this.forsaken.isFor(`broadcast:${id}`, !isTended, limitMs)) {
      await this.deps.beginEnding(id);
      this.report('broadcast-abandoned', id);
    }
    return true;
  }

  /**
   * Only a worker knows how to close what is open; so one is asked for, within limits. It finds no ring and ends the broadcast. `ended` is
   * written here when none came: then what no index block holds is lost.
   */
  private async checkEnding(broadcast: BroadcastRecord): Promise<NextLook> {
    const { id } = broadcast;
    if (await this.deps.isCarried(id)) {
      this.closings.delete(id);
      return true;
    }
    const now = this.deps.now();
    const closing = this.closings.get(id) ?? { since: now, tries: 0, lastAt: now };
    this.closings.set(id, closing);
    const sinceLast = now - closing.lastAt;
    const isGivenUp = closing.tries >= CLOSING_TRIES && sinceLast >= CLOSING_AGAIN_MS;
    if (isGivenUp || now - closing.since >= CLOSING_LIMIT_MS) {
      this.closings.delete(id);
      await this.deps.endBroadcast(id);
      this.report('broadcast-ended', id);
      return true;
    }
    if (sinceLast < (closing.tries === 0 ? CLOSING_WAIT_MS : CLOSING_AGAIN_MS)) return true;
    closing.lastAt = now;
    if ((await this.deps.enqueueClosing(broadcast)) === 'added') {
      closing.tries += 1;
      this.report('broadcast-closing', id);
    }
    return true;
  }

  private async checkEnded(broadcast: BroadcastRecord): Promise<NextLook> {
    const { id, content_id: content } = broadcast;
    this.closings.delete(id);
    // The note in the live list may be left over.
    await this.deps.endBroadcast(id);
    if (await this.deps.record(broadcast)) this.report('broadcast-recorded', id);
    const endedMs = this.deps.now() - (broadcast.ended_at ?? broadcast.updated_at);
    const stream = await this.deps.stream(broadcast.stream_id);
    const isShown = stream !== null && stream.broadcast_id === id;
    const isExpired = broadcast.asset_id === null && endedMs >= UNRECORDED_MS;
    if (!isShown || isExpired) {
      await this.letGo(broadcast);
      if ((await this.deps.broadcast(id)) === null) return false;
    }
    if ((await this.deps.content(content))?.status === 'deleting') return await this.checkContent(content);
    if (broadcast.parts_removed_at === undefined) {
      if (endedMs < PARTS_KEPT_MS) return PARTS_KEPT_MS - endedMs;
      if (this.deps.isSpooled(id) || !(await this.deps.removeParts(broadcast))) return true;
    }
    return isShown && broadcast.asset_id === null && !isExpired ? UNRECORDED_MS - endedMs : false;
  }

  private async letGo({ id, content_id: content }: BroadcastRecord): Promise<void> {
    const record = await this.deps.content(content);
    // Without a record (broadcasts of older versions) the broadcast alone holds it.
    if (record !== null && !record.holders.includes(id)) return;
    await this.deps.leave(content, id);
  }

  async checkContent(id: ContentId): Promise<NextLook> {
    const content = await this.deps.content(id);
    if (content === null) return false;
    if (content.status === 'deleting') {
      await this.deps.finishContentRemoval(id);
      this.report('content-deletion', id);
      return false;
    }
    let isOpen = false;
    for (const holder of content.holders) {
      const isDangling = !(await this.deps.hasRecord(holder));
      const key = `holder:${id}:${holder}`;
      if (this.forsaken.isFor(key, isDangling, DANGLING_MS)) {
        await this.deps.leave(id, holder);
        this.report('holder-without-record', id);
      }
      isOpen ||= isDangling;
    }
    return isOpen;
  }
}

// What a publisher that stands by sent in the last seconds, so that a take-over begins right after the other publisher's last picture.
import { RING_KINDS } from '../platform/contract/ring.ts';
import { type ClassifiedTag, headerSlotOf, isCut } from './flv-tag.ts';

/** A tag with its arrival. Unit: ms since the epoch. */
export type HeldTag = { tag: ClassifiedTag; arrival: number };

/** Groups of pictures that began longer ago are dropped, but for the newest. Longer than it takes to notice that a publisher is silent. Unit: ms. */
export const STANDBY_KEEP_MS = 4_000;
/** Unit: bytes. */
export const STANDBY_KEEP_BYTES = 16 * 1024 * 1024;

type Headers = { metadata: ClassifiedTag | null; video: ClassifiedTag | null; audio: ClassifiedTag | null };
type Group = { headers: Headers; tags: HeldTag[]; arrival: number; bytes: number };

export class StandbyBuffer {
  private headers: Headers = { metadata: null, video: null, audio: null };
  private hasVideo = false;
  /** Each begins where a reader may begin. */
  private groups: Group[] = [];
  private heldBytes = 0;

  /** Payload bytes held. */
  get bytes(): number {
    return this.heldBytes;
  }

  /** Arrival of the newest place to begin; null when none is held. Unit: ms since the epoch. */
  get newestCut(): number | null {
    return this.groups.at(-1)?.arrival ?? null;
  }

  /** Notes headers alone: what a publisher on air needs when it stands by later. */
  observe(tag: ClassifiedTag): void {
    if (tag.kind === RING_KINDS.video) this.hasVideo = true;
    const slot = headerSlotOf(tag);
    if (slot !== null) this.headers = { ...this.headers, [slot]: copyOf(tag) };
  }

  /** Keeps a copy. @returns whether the tag is a place to begin */
  push(tag: ClassifiedTag, arrival: number): boolean {
    const { headers, hasVideo } = this;
    this.observe(tag);
    const begins = isCut(tag, hasVideo);
    if (begins) this.groups.push({ headers, tags: [], arrival, bytes: 0 });
    const group = this.groups.at(-1);
    if (group !== undefined) {
      group.tags.push({ tag: copyOf(tag), arrival });
      group.bytes += tag.body.length;
      this.heldBytes += tag.body.length;
    }
    this.trim(arrival);
    return begins;
  }

  /**
   * Hands out what is held from the first place to begin that arrived after `after`, headers first, and forgets everything.
   * @returns null when there is none
   */
  takeAfter(after: number): HeldTag[] | null {
    const from = this.groups.findIndex((group) => group.arrival > after);
    const first = this.groups[from];
    if (first === undefined) return null;
    const { headers, arrival } = first;
    const before = [headers.metadata, headers.video, headers.audio].filter((tag) => tag !== null);
    const tags = this.groups.slice(from).flatMap((group) => group.tags);
    this.clear();
    return [...before.map((tag) => ({ tag, arrival })), ...tags];
  }

  /** Forgets the pictures; the headers stay. */
  clear(): void {
    this.groups = [];
    this.heldBytes = 0;
  }

  private trim(now: number): void {
    while (this.groups.length > 1) {
      const oldest = this.groups[0];
      if (oldest === undefined) return;
      if (oldest.arrival >= now - STANDBY_KEEP_MS && this.heldBytes <= STANDBY_KEEP_BYTES) return;
      this.groups.shift();
      this.heldBytes -= oldest.bytes;
    }
    // One group larger than the limit is of no use: the next key frame begins anew.
    if (this.heldBytes > STANDBY_KEEP_BYTES) this.clear();
  }
}

const copyOf = (tag: ClassifiedTag): ClassifiedTag => ({ ...tag, body: Buffer.from(tag.body) });

// How many people watch what: distinct viewers of each playback id over the last seconds, from their requests for media playlists and manifests.
import type { ContentId, PlaybackId } from '../platform/contract/ids.ts';
import { dropOldest } from '../platform/runtime/bounded-map.ts';

/** A viewer counts this long after the last request. Unit: ms. */
const SEEN_FOR_MS = 15_000;
const MAX_CONTENTS = 10_000;
const MAX_VIEWERS = 200_000;
const CONTENT = /(?:^|[/">])v\/(?:-|[A-Za-z0-9_-]{16,200})\/([A-Za-z0-9]{16,40})\//gm;

export class Viewers {
  readonly #playbackOf = new Map<string, PlaybackId>();
  readonly #lastSeen = new Map<string, { playback: PlaybackId; atMs: number }>();

  /** Learns from a master playlist or manifest which content belongs to a playback id: media addresses name the content alone. */
  learn(playback: PlaybackId, master: string): void {
    for (const match of master.matchAll(CONTENT)) {
      const content = match[1] ?? '';
      this.#playbackOf.delete(content);
      this.#playbackOf.set(content, playback);
    }
    dropOldest(this.#playbackOf, MAX_CONTENTS);
  }

  /**
   * Counts a media playlist request.
   * @param who the player's `viewer` number, else address and user agent
   */
  saw(content: ContentId, who: string, nowMs: number): void {
    const playback = this.#playbackOf.get(content);
    if (playback !== undefined) this.sawPlayback(playback, who, nowMs);
  }

  /** Counts a request that names the playback id itself. */
  sawPlayback(playback: PlaybackId, who: string, nowMs: number): void {
    const key = `${playback} ${who.slice(0, 200)}`;
    // Kept in the order of the last request, so that what has expired is always in front.
    this.#lastSeen.delete(key);
    this.#lastSeen.set(key, { playback, atMs: nowMs });
    dropOldest(this.#lastSeen, MAX_VIEWERS);
  }

  /** Viewers by playback id. */
  counts(nowMs: number): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [key, { playback, atMs }] of this.#lastSeen) {
      if (nowMs - atMs > SEEN_FOR_MS) this.#lastSeen.delete(key);
      else counts[playback] = (counts[playback] ?? 0) + 1;
    }
    return counts;
  }

  /** Sum over all playback ids. */
  total(nowMs: number): number {
    return Object.values(this.counts(nowMs)).reduce((sum, count) => sum + count, 0);
  }
}

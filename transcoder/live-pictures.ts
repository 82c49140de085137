// Pictures of a running broadcast: one every 10 s of media, sheets of them for the seek bar, and a poster.
import type { TimelineEntry } from '../platform/contract/timeline.ts';

export interface LivePictures {
  /** Told of each closing entry, in order, gaps too; never blocks, never throws. */
  segmentClosed(entry: TimelineEntry): void;
  /** Stores the last sheet and storyboard.vtt; at most 3 s, never rejects. */
  finish(): Promise<void>;
}

// What a live epoch's engine is to the run that drives it: encoder (live-encode.ts) and pass-through (live-copy.ts) look alike.
import type { RenditionName } from '../platform/contract/ids.ts';
import type { RenditionInfo } from '../platform/contract/records.ts';
import type { FeedMedia } from './live-feed.ts';
import type { CutPart } from './live-video-cutter.ts';

/** A rendition whose init part is known. */
export type ReadyRendition = { name: RenditionName; bytes: Uint8Array; info: RenditionInfo };

export type MediaHandlers = {
  /** All init parts are there; parts wait until this resolves. */
  onReady(renditions: ReadyRendition[]): Promise<void>;
  onPart(part: CutPart): void;
  /** The engine cannot go on. */
  onFailure(thrown: unknown): void;
};

export interface MediaRun {
  /** Call once, before feed(). @param firstTimestamp of the first tag, ms of the FLV clock */
  begin(firstTimestamp: number): Promise<void>;
  /** Resolves when more is taken. @throws LiveEncoderFailed */
  feed(media: FeedMedia): Promise<void>;
  /** The source is over: hands out what is left, the last segment closed. @throws LiveEncoderFailed */
  finish(): Promise<void>;
  /** Ends at once; nothing more comes out. */
  kill(): Promise<void>;
}

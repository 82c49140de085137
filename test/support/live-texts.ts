// Live playlists of made-up timelines, each text read back by two independent parsers.
import { expect } from 'vitest';
import type { RenditionName } from '../../platform/contract/ids.ts';
import type { EpochInfo } from '../../platform/contract/records.ts';
import type { Position, TimelineEntry } from '../../platform/contract/timeline.ts';
import { livePlaylist } from '../../platform/hls/live-playlist.ts';
import { newestPlace } from '../../platform/hls/live-reload.ts';
import { LiveTimeline } from '../../platform/hls/live-timeline.ts';
import { readMedia } from './playlist-parsers.ts';
import { V360 } from './timelines.ts';

export type Show = {
  entries: TimelineEntry[];
  epochs: EpochInfo[];
  /** Segments of the window. */
  window?: number;
  rendition?: RenditionName;
  isEnded?: boolean;
  isDelta?: boolean;
  /** Default: the newest place. */
  at?: Position;
};

/** Empty when there is nothing to list. */
export function textOf({ entries, window = 60, ...show }: Show): string {
  const timeline = new LiveTimeline(window);
  timeline.accept(entries);
  return textFrom(timeline, show);
}

export function textFrom(timeline: LiveTimeline, show: Omit<Show, 'entries' | 'window'>): string {
  const { epochs, rendition = V360, isEnded = false, isDelta = false } = show;
  const hasParts = (epochs[0]?.part_target ?? null) !== null;
  const at = show.at ?? newestPlace(timeline, hasParts);
  return at === null ? '' : (livePlaylist({ timeline, rendition, epochs, at, isEnded, isDelta }) ?? '');
}

/** What both parsers make of a media playlist; they must agree and have nothing to complain about. */
export function readBack(text: string) {
  const { manifest, other } = readMedia(text);
  const whole = other.segments.filter((one) => one.uri !== '');
  expect(whole.map((one) => one.uri)).toEqual(manifest.segments.map((one) => one.uri));
  expect(other.mediaSequenceBase ?? 0).toBe(manifest.mediaSequence);
  return { manifest, other, whole };
}

/** Lines of a text that begin with a tag. */
export const tags = (text: string, name: string): string[] =>
  text.split('\n').filter((line) => line.startsWith(`#${name}:`) || line === `#${name}`);

// Which renditions a live broadcast gets, and how the source is fitted into them.
import { ladderFor, type Rung } from '../platform/contract/ladder.ts';
import type { RenditionInfo } from '../platform/contract/records.ts';

/**
 * Rungs of a live broadcast, highest first: the top one, and others spread evenly down to the lowest, as many as the machine shall carry.
 * @param width displayed pixels
 * @param height displayed pixels
 * @param limit most rungs
 */
export function liveRungs(width: number, height: number, limit: number): Rung[] {
  const all = ladderFor(width, height);
  if (all.length <= limit) return all;
  if (limit <= 1) return all.slice(0, 1);
  return Array.from({ length: limit }, (_, i) => all[Math.round((i * (all.length - 1)) / (limit - 1))]).filter(
    (rung) => rung !== undefined,
  );
}

/** Rungs of an epoch that stands in the record: a broadcast keeps its renditions when the source changes. */
export function rungsOf(renditions: readonly RenditionInfo[]): Rung[] {
  return renditions.flatMap((info) =>
    info.kind === 'video' && info.width !== null && info.height !== null
      ? [
          {
            width: info.width,
            height: info.height,
            bitrateBps: info.average_bandwidth,
            maxrateBps: info.bandwidth,
          },
        ]
      : [],
  );
}

// Media of a running broadcast: waits for parts that a playlist has hinted at, and knows which node has what the store has not.
import type { NodeId } from '../platform/contract/ids.ts';
import type { BroadcastRecord } from '../platform/contract/records.ts';
import { NO_WRITER, routeKey, type ViewerRoute } from '../platform/contract/routes.ts';
import { advanceParts } from '../platform/hls/live-reload.ts';
import { type LiveTimeline, mediaOf } from '../platform/hls/live-timeline.ts';
import { MediaPending, MediaUnknown } from './errors.ts';
import type { LiveInits } from './live-inits.ts';
import type { WindowSource } from './live-window.ts';
import type { LiveObject } from './objects.ts';
import { newestEpoch } from './playback-info.ts';
import type { WorkerObjects } from './worker-objects.ts';

export type LiveMediaRoute = Extract<ViewerRoute, { kind: 'init' | 'segment' | 'part' }>;
type PartRoute = Extract<ViewerRoute, { kind: 'part' }>;

export interface LiveMedia {
  /**
   * Where to look for an object of a broadcast that has not ended. A part that comes next is waited for, three target durations at most.
   * @param signal the viewer left
   * @throws MediaUnknown when its place went to another writer; MediaPending OriginDraining
   */
  locate(broadcast: BroadcastRecord, route: LiveMediaRoute, signal: AbortSignal): Promise<LiveObject>;
}

/**
 * What the timeline says of a part: named, with its `src`; `unnamed`: its place is behind what is known here; `taken`: another part has
 * the place, or none will; `ahead`: too far to wait for; null: it may come next.
 */
export type PartPlace = { src: string } | 'unnamed' | 'taken' | 'ahead' | null;

/** @param reach parts beyond the newest that are worth waiting for: this origin may be that far behind the one that gave the hint */
export function placeOfPart(
  timeline: Pick<LiveTimeline, 'position' | 'partsOf' | 'segmentAt'>,
  route: Pick<PartRoute, 'rendition' | 'epoch' | 'msn' | 'part' | 'writer'>,
  reach: number,
): PartPlace {
  const top = timeline.position();
  if (top === null) return 'ahead';
  const parts = timeline.partsOf(route.msn);
  const entry = parts.find(({ part }) => part === route.part);
  if (entry !== undefined) {
    const media = entry.epoch === route.epoch ? entry.renditions[route.rendition] : undefined;
    return media !== undefined && media.bytes > 0 && media.writer === route.writer ? { src: entry.src } : 'taken';
  }
  const isClosed = timeline.segmentAt(route.msn) !== null;
  if (route.msn < top.msn || isClosed) return parts.length > 0 ? 'taken' : 'unnamed';
  if (route.epoch < top.epoch && route.msn > top.msn) return 'taken';
  if (route.msn > top.msn + 1) return 'ahead';
  const known = route.msn === top.msn ? top.part : -1;
  if (route.part <= known) return 'taken';
  return route.part <= known + reach ? null : 'ahead';
}

/** Parts that may be waited for where playlists list none. */
const PLAIN_REACH = 1;
const WORKER = /^worker:([A-Za-z0-9]{16,40})$/;

export type LiveMediaDeps = {
  windows: WindowSource;
  /** Which nodes carry a broadcast. */
  workers: Pick<WorkerObjects, 'carriersOf'>;
  inits: LiveInits;
};

export function createLiveMedia({ windows, workers, inits }: LiveMediaDeps): LiveMedia {
  const srcOf = async (broadcast: BroadcastRecord, route: LiveMediaRoute, signal: AbortSignal): Promise<string> => {
    if (route.kind === 'init') return 'store';
    const window = await windows.open(broadcast);
    const { timeline, partTargetS } = window;
    if (route.kind === 'segment') {
      const segment = timeline.segmentAt(route.msn);
      const media = segment?.epoch === route.epoch ? mediaOf(segment, route.rendition) : undefined;
      return media?.writer === route.writer ? (segment?.src ?? 'store') : 'store';
    }
    if (route.writer === NO_WRITER) throw new MediaUnknown('such part: nobody writes there');
    const reach = partTargetS === null ? PLAIN_REACH : advanceParts(partTargetS);
    const look = () => (window.isOver() ? 'unnamed' : placeOfPart(timeline, route, reach));
    const place = await window.waiting.until(look, window.cutOffMs, signal);
    if (place === 'taken') throw new MediaUnknown('such part: its place went to another');
    if (place === null) throw new MediaPending('this part');
    return typeof place === 'string' ? 'store' : place.src;
  };
  return {
    async locate(broadcast, route, signal) {
      const src = newestEpoch(broadcast) === null ? 'store' : await srcOf(broadcast, route, signal);
      const holder = WORKER.exec(src)?.[1] ?? null;
      inits.note(broadcast);
      const kept = route.kind === 'init' ? inits.get(routeKey(route)) : null;
      return { kept, holder: holder as NodeId | null, carriers: workers.carriersOf(broadcast) };
    },
  };
}

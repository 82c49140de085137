// Clips: assets over a range of another asset's or a broadcast's objects. Nothing is copied: the clip becomes a holder of the content.
import type { Records } from '../platform/adapters/records.ts';
import type { PlatformEvent } from '../platform/contract/events.ts';
import { AssetId, type ContentId, newId, PlaybackId, StreamId } from '../platform/contract/ids.ts';
import type { AssetRecord, BroadcastRecord, PlaybackPolicy, StreamRecord } from '../platform/contract/records.ts';
import { messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { Versioned } from './assets.ts';
import { type ClipRange, clockSpan, rangeByClock, rangeBySeconds, type Span } from './clip-range.ts';
import type { Contents, Holder } from './contents.ts';
import { NotAllowedNow, NotFound, RequestInvalid } from './errors.ts';
import type { SegmentTables, TableSegment } from './segment-table.ts';
import { playbackIdsFor } from './uploads.ts';

/** Seconds, or a wall clock time (ISO 8601). */
export type Instant = number | string;
export type ClipRequest = {
  source: { playback_id?: string | undefined; asset_id?: string | undefined; live_stream_id?: string | undefined };
  start: Instant;
  end: Instant;
  title?: string | undefined;
  playback_policies?: PlaybackPolicy[] | undefined;
};
export type ClipsDeps = {
  records: Pick<Records, 'get' | 'create' | 'remove' | 'playback'>;
  contents: Contents;
  tables: SegmentTables;
  publish: (event: PlatformEvent) => Promise<void>;
  log: Logger;
};
export interface Clips {
  /**
   * Makes the clip; it can be played when this resolves.
   * @throws NotFound RequestInvalid NotAllowedNow StorageUnavailable RedisUnavailable
   */
  create(request: ClipRequest): Promise<Versioned<AssetRecord>>;
}

type AssetSource = { kind: 'asset'; asset: AssetRecord };
type LiveSource = { kind: 'stream'; stream: StreamRecord; broadcast: BroadcastRecord };
type Source = (AssetSource | LiveSource) & { playback: PlaybackId | null };

async function assetSource(deps: ClipsDeps, id: string, playback: PlaybackId | null): Promise<Source> {
  const asset = (await deps.records.get('asset', id))?.value;
  if (asset === undefined || asset.status === 'deleting') throw new NotFound('asset');
  if (asset.status !== 'ready') throw new NotAllowedNow(`an asset that is ${asset.status} cannot be clipped`);
  return { kind: 'asset', asset, playback };
}

async function streamSource(deps: ClipsDeps, id: string, playback: PlaybackId | null): Promise<Source> {
  const stream = (await deps.records.get('stream', id))?.value;
  if (stream === undefined || stream.status === 'deleting') throw new NotFound('live stream');
  const broadcast = stream.broadcast_id === null ? null : await deps.records.get('broadcast', stream.broadcast_id);
  if (!broadcast) throw new RequestInvalid(['source: nothing was recorded there: this live stream was never on air']);
  return { kind: 'stream', stream, broadcast: broadcast.value, playback };
}

/** @throws NotFound for an id that nothing has or can have */
async function findSource(deps: ClipsDeps, source: ClipRequest['source']): Promise<Source> {
  if (source.asset_id !== undefined) {
    if (!AssetId.safeParse(source.asset_id).success) throw new NotFound('asset');
    return await assetSource(deps, source.asset_id, null);
  }
  if (source.live_stream_id !== undefined) {
    if (!StreamId.safeParse(source.live_stream_id).success) throw new NotFound('live stream');
    return await streamSource(deps, source.live_stream_id, null);
  }
  const playback = PlaybackId.safeParse(source.playback_id);
  const target = playback.success ? await deps.records.playback(playback.data) : null;
  if (!playback.success || target === null) throw new NotFound('playback id');
  return target.kind === 'asset'
    ? await assetSource(deps, target.id, playback.data)
    : await streamSource(deps, target.id, playback.data);
}

function secondsOf(value: Instant, name: 'start' | 'end'): number {
  if (typeof value === 'number') return value;
  throw new RequestInvalid([`${name}: seconds from the start of the asset; wall clock times are for live streams`]);
}

/** A negative number counts back from the live edge, or from the end of a broadcast that is over. */
function clockOf(value: Instant, edge: number, name: 'start' | 'end'): number {
  if (typeof value === 'string') return Date.parse(value);
  if (value > 0) throw new RequestInvalid([`${name}: seconds before the live edge are negative (or 0)`]);
  return edge + value * 1_000;
}

const inside = (segments: TableSegment[], range: AssetRecord['range']): TableSegment[] =>
  range === null ? segments : segments.filter(({ msn }) => msn >= range.from_msn && msn <= range.to_msn);

/** What a broadcast has so far. */
const broadcastSegments = ({ tables }: ClipsDeps, broadcast: BroadcastRecord): Promise<TableSegment[]> =>
  broadcast.status === 'ended' ? tables.recorded(broadcast) : tables.running(broadcast);

async function assetSegments(deps: ClipsDeps, asset: AssetRecord): Promise<TableSegment[]> {
  if (asset.renditions.length > 0) return inside(await deps.tables.uploaded(asset), asset.range);
  const broadcast = (await deps.records.get('broadcast', asset.content_id))?.value;
  if (broadcast === undefined) throw new RequestInvalid(['source: nothing was recorded there']);
  return inside(await broadcastSegments(deps, broadcast), asset.range);
}

async function chooseRange(
  deps: ClipsDeps,
  source: Source,
  request: ClipRequest,
): Promise<{ wanted: Span; range: ClipRange }> {
  if (source.kind === 'asset') {
    const wanted = { start: secondsOf(request.start, 'start'), end: secondsOf(request.end, 'end') };
    return { wanted, range: rangeBySeconds(await assetSegments(deps, source.asset), wanted) };
  }
  const segments = await broadcastSegments(deps, source.broadcast);
  const edge = clockSpan(segments)?.end;
  if (edge === undefined) throw new RequestInvalid(['source: nothing was recorded there yet']);
  const wanted = { start: clockOf(request.start, edge, 'start'), end: clockOf(request.end, edge, 'end') };
  return { wanted, range: rangeByClock(segments, wanted) };
}

function clipRecord(source: Source, request: ClipRequest, wanted: Span, range: ClipRange): AssetRecord {
  const from = source.kind === 'asset' ? source.asset : source.stream;
  const policies = request.playback_policies ?? from.playback_ids.map(({ policy }) => policy);
  const title = request.title ?? `Clip of ${from.title || (source.kind === 'asset' ? 'a video' : 'a live stream')}`;
  const now = Date.now();
  return {
    version: 1,
    id: newId<AssetId>(),
    status: 'ready',
    created_at: now,
    updated_at: now,
    title: title.slice(0, 512),
    description: '',
    playback_ids: playbackIdsFor(policies),
    content_id: source.kind === 'asset' ? source.asset.content_id : source.broadcast.content_id,
    source: {
      type: 'clip',
      playback_id: source.playback,
      asset_id: source.kind === 'asset' ? source.asset.id : null,
      broadcast_id: source.kind === 'stream' ? source.broadcast.id : null,
      wanted,
      real: range.real,
    },
    term: 0,
    cancel_requested: false,
    errors: null,
    input: null,
    planned: [],
    renditions: source.kind === 'asset' ? source.asset.renditions : [],
    // Pictures of the source; origins cut a recording's storyboard to the range.
    images_writer: source.kind === 'asset' ? source.asset.images_writer : null,
    range: { from_msn: range.fromMsn, to_msn: range.toMsn },
    duration_s: range.durationS,
    size_bytes: range.bytes,
  };
}

/** Who holds a content that has no record yet: the upload alone, or the broadcast alone. */
const foundersOf = (source: Source): Holder[] => (source.kind === 'asset' ? [source.asset.id] : [source.broadcast.id]);

/** Whether what was clipped is still there: deletion removes it before the content's record, so a clip that came late sees it gone. */
async function isStillThere(deps: ClipsDeps, source: Source, content: ContentId, clip: AssetId): Promise<boolean> {
  if (!(await deps.contents.isHeldBy(content, clip))) return false;
  if (source.kind === 'stream') return (await deps.records.get('broadcast', source.broadcast.id)) !== null;
  const asset = (await deps.records.get('asset', source.asset.id))?.value;
  return asset !== undefined && asset.status !== 'deleting';
}

async function createClip(deps: ClipsDeps, request: ClipRequest): Promise<Versioned<AssetRecord>> {
  const { records, contents, log } = deps;
  const source = await findSource(deps, request.source);
  const { wanted, range } = await chooseRange(deps, source, request);
  const value = clipRecord(source, request, wanted, range);
  const content = value.content_id;
  const refusal = new NotAllowedNow('the source is being deleted');
  if (!(await contents.hold(content, value.id, foundersOf(source)))) throw refusal;
  if (!(await isStillThere(deps, source, content, value.id))) {
    await contents.leave(content, value.id);
    throw refusal;
  }
  const etag = await records.create('asset', value);
  // The last look: a holder that nobody could find for a minute is taken out by the reconciler, and this process may have slept.
  if (!(await contents.isHeldBy(content, value.id))) {
    await records.remove('asset', value.id);
    throw refusal;
  }
  try {
    await deps.publish({ type: 'asset', id: value.id });
  } catch (thrown) {
    log.warn('event not published; readers poll', { asset: value.id, reason: messageOf(thrown) });
  }
  log.info('clip made', { asset: value.id, content, from: range.fromMsn, to: range.toMsn });
  return { value, etag };
}

/** Clips over records, contents and segment tables. */
export const createClips = (deps: ClipsDeps): Clips => ({ create: (request) => createClip(deps, request) });

// The status page's one document. Many pages may poll it each second: it is made at most once per interval and compared by ETag.
import { createHash } from 'node:crypto';
import type { JobName, JobState } from '../platform/contract/jobs.ts';
import { ROLES } from '../platform/contract/nodes.ts';
import type { Overview, OverviewAsset, OverviewJob, OverviewStream } from '../platform/contract/overview.ts';
import type { AssetRecord, StreamRecord } from '../platform/contract/records.ts';
import type { Assets } from './assets.ts';
import type { LiveStreams } from './live-streams.ts';
import type { NodeSource, Presence } from './presence.ts';
import { renditionsIn, runningIn } from './stream-view.ts';
import { isPlayable, progressOf } from './views.ts';

/** A job as the queue lists it. */
export type JobRow = {
  id: string;
  name: JobName;
  state: JobState;
  attempts: number;
  created_at: number;
  finished_at: number | null;
  failed_reason: string | null;
  payload: unknown;
};
export type OverviewDeps = {
  assets: Pick<Assets, 'list' | 'progress'>;
  streams: Pick<LiveStreams, 'list' | 'state'>;
  jobs: (queue: JobName, limit: number) => Promise<JobRow[]>;
  nodes: NodeSource;
  presence: Presence;
  rtmpUrl: string;
  storageDescription: string;
  now: () => number;
};
export interface OverviewSource {
  read(): Promise<{ overview: Overview; etag: string }>;
}

/** Age after which the document is made anew. Unit: ms. */
const FRESH_MS = 500;
const NEWEST = 50;

const textAt = (payload: unknown, field: string): string | null => {
  const value: unknown = typeof payload === 'object' && payload !== null ? Reflect.get(payload, field) : null;
  return typeof value === 'string' ? value : null;
};

async function assetRow(deps: OverviewDeps, asset: AssetRecord): Promise<OverviewAsset> {
  const reported = asset.status === 'preparing' ? await deps.assets.progress(asset.id) : null;
  return {
    id: asset.id,
    title: asset.title,
    status: asset.status === 'deleting' ? 'errored' : asset.status,
    playable: isPlayable(asset),
    progress: progressOf(asset, reported),
    errors: asset.errors,
    duration_s: asset.duration_s,
    size_bytes: asset.size_bytes,
    source_type: asset.source.type,
    source_title: null,
    created_at: asset.created_at,
    ...deps.presence.links(asset.playback_ids),
  };
}

async function streamRow(deps: OverviewDeps, stream: StreamRecord): Promise<OverviewStream> {
  const state = await deps.streams.state(stream);
  const running = runningIn(state);
  const fault = running?.fault ?? null;
  return {
    id: stream.id,
    title: stream.title,
    status: state.status,
    latency_mode: stream.latency_mode,
    transcode: stream.transcode,
    redundancy: stream.redundancy,
    record: stream.record,
    has_backup_key: stream.backup_key_hash !== null,
    publishing_key: running?.ingest?.key ?? null,
    has_standby: state.signal?.has_standby ?? false,
    is_away: running !== null && running.ingest === null,
    viewer_count: state.viewerCount,
    bitrate: state.bitrateBps,
    health: state.signal?.health ?? 'unknown',
    advice: state.signal?.advice ?? [],
    renditions: renditionsIn(state),
    lag_s: state.encodes[0]?.lag_s ?? null,
    fault: fault === null ? null : fault.messages.join('; ') || fault.type,
    broadcast_id: stream.broadcast_id,
    created_at: stream.created_at,
    ...deps.presence.links(stream.playback_ids),
  };
}

/** Titles of what recordings and clips were made of, where it is among the newest. */
function withSources(rows: OverviewAsset[], assets: AssetRecord[], streams: StreamRecord[]): OverviewAsset[] {
  const titles = new Map([
    ...streams.map(({ id, title }) => [id as string, title] as const),
    ...streams.map(({ broadcast_id, title }) => [broadcast_id as string | null, title] as const),
    ...assets.map(({ id, title }) => [id as string, title] as const),
  ]);
  return rows.map((row, at) => {
    const source = assets[at]?.source;
    if (source === undefined || source.type === 'upload') return row;
    const from = source.type === 'live' ? source.stream_id : (source.asset_id ?? source.broadcast_id);
    return { ...row, source_title: titles.get(from) ?? null };
  });
}

function jobRow(job: JobRow, assets: OverviewAsset[]): OverviewJob {
  const assetId = textAt(job.payload, 'asset_id');
  const isActive = job.state === 'active';
  const progress = assets.find((asset) => asset.id === assetId)?.progress;
  return {
    queue: job.name,
    id: job.id,
    state: job.state,
    step: isActive && progress ? progress.state : job.state,
    percent: job.state === 'completed' ? 100 : isActive && progress ? progress.percent : null,
    attempts: job.attempts,
    asset_id: assetId,
    broadcast_id: textAt(job.payload, 'broadcast_id'),
    error: job.failed_reason,
    created_at: job.created_at,
  };
}

async function makeOverview(deps: OverviewDeps): Promise<Overview> {
  const [assetPage, streamPage, vod, live] = await Promise.all([
    deps.assets.list(NEWEST, null),
    deps.streams.list(NEWEST, null),
    deps.jobs('vod', NEWEST),
    deps.jobs('live', NEWEST),
  ]);
  const rows = await Promise.all(assetPage.values.map((asset) => assetRow(deps, asset)));
  const assets = withSources(rows, assetPage.values, streamPage.values);
  const streams = await Promise.all(streamPage.values.map((stream) => streamRow(deps, stream)));
  const jobs = [...vod, ...live].map((job) => jobRow(job, assets)).sort((a, b) => b.created_at - a.created_at);
  const nodes = ROLES.flatMap((role) => deps.nodes.nodes(role)).map((node) => ({
    id: node.id,
    role: node.role,
    url: node.url,
    public_url: node.public_url,
    state: node.state,
    is_drained: node.is_drained ?? false,
    started_at: node.started_at,
    pid: node.pid,
    version: node.version,
    load: node.load,
  }));
  return { rtmp_url: deps.rtmpUrl, storage: deps.storageDescription, nodes, streams, jobs, assets };
}

export function createOverview(deps: OverviewDeps): OverviewSource {
  let held: { madeAt: number; answer: Promise<{ overview: Overview; etag: string }> } | null = null;
  const make = async () => {
    const overview = await makeOverview(deps);
    const etag = createHash('sha256').update(JSON.stringify(overview)).digest('base64url').slice(0, 27);
    return { overview, etag };
  };
  return {
    async read() {
      if (held === null || deps.now() - held.madeAt > FRESH_MS) held = { madeAt: deps.now(), answer: make() };
      const mine = held;
      try {
        return await mine.answer;
      } catch (thrown) {
        if (held === mine) held = null;
        throw thrown;
      }
    },
  };
}

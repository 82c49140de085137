// Every route of the REST API. What each does is in its noun's file; here stand path, schemas and words.
import { z } from 'zod';
import { AssetId, UploadId } from '../platform/contract/ids.ts';
import type { AssetRecord } from '../platform/contract/records.ts';
import type { Assets, Versioned } from './assets.ts';
import type { Clips } from './clips.ts';
import type { EdgeControl } from './edges.ts';
import { type Endpoint, endpoint, idIn, type RawCall } from './endpoint.ts';
import type { JobControl } from './job-control.ts';
import type { LiveStreams } from './live-streams.ts';
import { openApiDocument } from './openapi.ts';
import type { OverviewSource } from './overview.ts';
import * as schemas from './schemas.ts';
import { streamEndpoints } from './stream-endpoints.ts';
import type { Uploads } from './uploads.ts';
import { assetView, uploadView } from './views.ts';

export type ApiParts = {
  uploads: Pick<Uploads, 'create' | 'get' | 'list' | 'offset' | 'cancel'>;
  assets: Assets;
  clips: Clips;
  streams: LiveStreams;
  jobs: JobControl;
  edges: EdgeControl;
  overview: OverviewSource;
  rtmpUrl: string;
  /** How far viewers can rewind where a stream does not say. Unit: s. */
  liveWindowS: number;
  publicUrl: string;
  /** First half of the admin token. */
  tokenId: string;
};

const assetIn = (call: Pick<RawCall, 'params'>) => idIn(call, 'asset_id', AssetId, 'asset');
const uploadIn = (call: Pick<RawCall, 'params'>) => idIn(call, 'upload_id', UploadId, 'upload');

function uploadEndpoints({ uploads }: ApiParts): Endpoint[] {
  const path = '/video/v1/uploads';
  const tag = 'uploads';
  return [
    endpoint({
      method: 'post',
      path,
      operation: 'createUpload',
      tag,
      summary: 'Make a one-time upload address and the asset it fills. The address takes tus 1.0 or PUT.',
      status: 201,
      refusals: [413, 507],
      body: schemas.UploadCreate,
      response: schemas.UploadCreated,
      async handle({ body }) {
        const made = await uploads.create(body);
        return { data: { ...uploadView(made.record, 0), url: made.url } };
      },
    }),
    endpoint({
      method: 'get',
      path,
      operation: 'listUploads',
      tag,
      summary: 'Uploads, newest first.',
      status: 200,
      query: schemas.ListQuery,
      response: schemas.UploadView,
      async handle({ query }) {
        const page = await uploads.list(query.limit, query.cursor ?? null);
        const data = await Promise.all(page.values.map(async (item) => uploadView(item, await uploads.offset(item))));
        return { data, nextCursor: page.nextCursor };
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:upload_id`,
      operation: 'getUpload',
      tag,
      summary: 'One upload, with the bytes stored so far.',
      status: 200,
      refusals: [404],
      response: schemas.UploadView,
      async handle(call) {
        const record = await uploads.get(uploadIn(call));
        return { data: uploadView(record, await uploads.offset(record)) };
      },
    }),
    endpoint({
      method: 'put',
      path: `${path}/:upload_id/cancel`,
      operation: 'cancelUpload',
      tag,
      summary: 'End a waiting upload; its asset is removed.',
      status: 200,
      refusals: [404, 409],
      response: schemas.UploadView,
      handle: async (call) => ({ data: uploadView(await uploads.cancel(uploadIn(call)), 0) }),
    }),
  ];
}

function assetEndpoints({ assets }: ApiParts): Endpoint[] {
  const path = '/video/v1/assets';
  const tag = 'assets';
  const response = schemas.AssetView;
  const view = async (asset: AssetRecord) => assetView(asset, await assets.progress(asset.id));
  const versioned = async ({ value, etag }: Versioned<AssetRecord>) => ({ data: await view(value), etag });
  return [
    endpoint({
      method: 'get',
      path,
      operation: 'listAssets',
      tag,
      summary: 'Assets, newest first.',
      status: 200,
      query: schemas.ListQuery,
      response,
      async handle({ query }) {
        const page = await assets.list(query.limit, query.cursor ?? null);
        return { data: await Promise.all(page.values.map(view)), nextCursor: page.nextCursor };
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:asset_id`,
      operation: 'getAsset',
      tag,
      summary: 'One asset; its ETag is what a change sends as If-Match.',
      status: 200,
      refusals: [404],
      response,
      handle: async (call) => versioned(await assets.get(assetIn(call))),
    }),
    endpoint({
      method: 'patch',
      path: `${path}/:asset_id`,
      operation: 'changeAsset',
      tag,
      summary: 'Change title or description of the version named in If-Match.',
      status: 200,
      refusals: [404, 412, 428],
      body: schemas.AssetChange,
      response,
      handle: async (call) => versioned(await assets.change(assetIn(call), call.body, call.ifMatch)),
    }),
    ...assetActions(assets, view),
  ];
}

function assetActions(
  assets: Assets,
  view: (asset: AssetRecord) => Promise<z.infer<typeof schemas.AssetView>>,
): Endpoint[] {
  const path = '/video/v1/assets';
  const tag = 'assets';
  const response = schemas.AssetView;
  return [
    endpoint({
      method: 'delete',
      path: `${path}/:asset_id`,
      operation: 'deleteAsset',
      tag,
      summary: 'Delete an asset. Its objects go when no other asset or clip shows them.',
      status: 204,
      refusals: [404],
      async handle(call) {
        await assets.remove(assetIn(call));
        return { data: null };
      },
    }),
    endpoint({
      method: 'post',
      path: `${path}/:asset_id/cancel`,
      operation: 'cancelAsset',
      tag,
      summary: 'Stop work on an asset that is preparing.',
      status: 200,
      refusals: [404, 409],
      response,
      handle: async (call) => ({ data: await view(await assets.cancel(assetIn(call))) }),
    }),
    endpoint({
      method: 'post',
      path: `${path}/:asset_id/retry`,
      operation: 'retryAsset',
      tag,
      summary: 'Try an errored asset again; finished renditions are kept.',
      status: 200,
      refusals: [404, 409],
      response,
      handle: async (call) => ({ data: await view(await assets.retry(assetIn(call), call.requestId)) }),
    }),
  ];
}

function clipEndpoints({ assets, clips }: ApiParts): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/video/v1/clips',
      operation: 'createClip',
      tag: 'assets',
      summary:
        'Make an asset of a range of another asset or of a live stream, without encoding; it can be played at once. Start and end are widened to whole segments, and `clip.actual` says to what.',
      status: 201,
      refusals: [404, 409],
      body: schemas.ClipCreate,
      response: schemas.AssetView,
      async handle({ body }) {
        const { value, etag } = await clips.create(body);
        return { data: assetView(value, await assets.progress(value.id)), etag };
      },
    }),
  ];
}

function edgeEndpoints({ edges }: ApiParts): Endpoint[] {
  const onEdge = (verb: 'drain' | 'undrain'): Endpoint =>
    endpoint({
      method: 'post',
      path: `/ops/v1/edges/:node_id/${verb}`,
      operation: `${verb}Edge`,
      tag: 'operations',
      summary:
        verb === 'drain'
          ? 'Lead the viewers of an edge to the others, within seconds. It answers on, and stays drained over restarts until undrained.'
          : 'Let viewers use a drained edge again; those it had come back.',
      status: 204,
      refusals: verb === 'drain' ? [404, 409] : [404],
      async handle(call) {
        await edges.order(call.params['node_id'] ?? '', verb === 'drain' ? 'drained' : 'open');
        return { data: null };
      },
    });
  return [onEdge('drain'), onEdge('undrain')];
}

function operationsEndpoints({ jobs, overview, tokenId }: ApiParts): Endpoint[] {
  const onJob = (verb: 'cancel' | 'retry'): Endpoint =>
    endpoint({
      method: 'post',
      path: `/ops/v1/jobs/:queue/:job_id/${verb}`,
      operation: `${verb}Job`,
      tag: 'operations',
      summary: verb === 'cancel' ? 'Stop what a job works on.' : 'Try again what a job failed at.',
      status: 204,
      refusals: [404, 409],
      async handle(call) {
        const queue = idIn(call, 'queue', z.enum(['vod', 'live']), 'queue');
        await jobs[verb](queue, call.params['job_id'] ?? '', call.requestId);
        return { data: null };
      },
    });
  return [
    endpoint({
      method: 'get',
      path: '/ops/v1/overview',
      operation: 'getOverview',
      tag: 'operations',
      summary: 'Nodes, streams, jobs and the newest assets; cheap to poll with If-None-Match.',
      status: 200,
      response: schemas.OverviewView,
      async handle() {
        const { overview: data, etag } = await overview.read();
        return { data, etag };
      },
    }),
    onJob('cancel'),
    onJob('retry'),
    endpoint({
      method: 'get',
      path: '/system/v1/whoami',
      operation: 'whoami',
      tag: 'system',
      summary: 'The token in use: a sign-in check.',
      status: 200,
      response: schemas.WhoamiView,
      handle: async () => ({ data: { token_id: tokenId, scopes: ['admin'] } }),
    }),
  ];
}

/** All routes; the last one is the OpenAPI document of all. */
export function createEndpoints(parts: ApiParts): Endpoint[] {
  const all = [
    ...uploadEndpoints(parts),
    ...assetEndpoints(parts),
    ...clipEndpoints(parts),
    ...streamEndpoints(parts),
    ...edgeEndpoints(parts),
    ...operationsEndpoints(parts),
  ];
  const self: Endpoint = endpoint({
    method: 'get',
    path: '/video/v1/openapi.json',
    operation: 'getOpenApi',
    tag: 'system',
    summary: 'This document.',
    status: 200,
    isOpen: true,
    isBare: true,
    response: z.record(z.string(), z.unknown()),
    handle: async () => ({ data: document }),
  });
  const document = openApiDocument([...all, self], parts.publicUrl);
  return [...all, self];
}

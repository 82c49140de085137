// Every route of the REST API. What each does is in its noun's file; here stand path, schemas and words.
import { z } from 'zod';
import { AssetId, StreamId, UploadId } from '../platform/contract/ids.ts';
import type { AssetRecord, StreamRecord } from '../platform/contract/records.ts';
import type { Assets, Versioned } from './assets.ts';
import { type Endpoint, endpoint, type RawCall } from './endpoint.ts';
import { NotFound } from './errors.ts';
import type { JobControl } from './job-control.ts';
import type { LiveStreams } from './live-streams.ts';
import { openApiDocument } from './openapi.ts';
import type { OverviewSource } from './overview.ts';
import * as schemas from './schemas.ts';
import type { Uploads } from './uploads.ts';
import { assetView, streamView, uploadView } from './views.ts';

export type ApiParts = {
  uploads: Pick<Uploads, 'create' | 'get' | 'list' | 'offset' | 'cancel'>;
  assets: Assets;
  streams: LiveStreams;
  jobs: JobControl;
  overview: OverviewSource;
  rtmpUrl: string;
  publicUrl: string;
  /** First half of the admin token. */
  tokenId: string;
};

/** An id from the path; one that cannot exist is not found. */
function idIn<S extends z.ZodType>(call: Pick<RawCall, 'params'>, name: string, schema: S, what: string): z.output<S> {
  const parsed = schema.safeParse(call.params[name]);
  if (!parsed.success) throw new NotFound(what);
  return parsed.data;
}
const assetIn = (call: Pick<RawCall, 'params'>) => idIn(call, 'asset_id', AssetId, 'asset');
const uploadIn = (call: Pick<RawCall, 'params'>) => idIn(call, 'upload_id', UploadId, 'upload');
const streamIn = (call: Pick<RawCall, 'params'>) => idIn(call, 'live_stream_id', StreamId, 'live stream');

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
      summary: 'Delete an asset and its objects.',
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

const STREAMS = '/video/v1/live-streams';

function streamEndpoints({ streams, rtmpUrl }: ApiParts): Endpoint[] {
  const tag = 'live-streams';
  const response = schemas.StreamView;
  const view = async (stream: StreamRecord) => streamView(stream, await streams.state(stream), rtmpUrl);
  const versioned = async ({ value, etag }: Versioned<StreamRecord>) => ({ data: await view(value), etag });
  return [
    endpoint({
      method: 'post',
      path: STREAMS,
      operation: 'createLiveStream',
      tag,
      summary: 'Make a live stream. Its stream key is shown in this answer alone.',
      status: 201,
      body: schemas.StreamCreate,
      response: schemas.StreamWithKey,
      async handle({ body }) {
        const made = await streams.create(body);
        return { data: { ...(await view(made.value)), stream_key: made.streamKey }, etag: made.etag };
      },
    }),
    endpoint({
      method: 'get',
      path: STREAMS,
      operation: 'listLiveStreams',
      tag,
      summary: 'Live streams, newest first.',
      status: 200,
      query: schemas.ListQuery,
      response,
      async handle({ query }) {
        const page = await streams.list(query.limit, query.cursor ?? null);
        return { data: await Promise.all(page.values.map(view)), nextCursor: page.nextCursor };
      },
    }),
    endpoint({
      method: 'get',
      path: `${STREAMS}/:live_stream_id`,
      operation: 'getLiveStream',
      tag,
      summary: 'One live stream: status, viewers, bit rate.',
      status: 200,
      refusals: [404],
      response,
      handle: async (call) => versioned(await streams.get(streamIn(call))),
    }),
    endpoint({
      method: 'patch',
      path: `${STREAMS}/:live_stream_id`,
      operation: 'changeLiveStream',
      tag,
      summary: 'Change the version named in If-Match; a running broadcast keeps its latency mode.',
      status: 200,
      refusals: [404, 412, 428],
      body: schemas.StreamChange,
      response,
      handle: async (call) => versioned(await streams.change(streamIn(call), call.body, call.ifMatch)),
    }),
    ...streamActions({ streams, rtmpUrl }),
  ];
}

function streamActions({ streams, rtmpUrl }: Pick<ApiParts, 'streams' | 'rtmpUrl'>): Endpoint[] {
  const tag = 'live-streams';
  const view = async (stream: StreamRecord) => streamView(stream, await streams.state(stream), rtmpUrl);
  const enabling = (isEnabled: boolean): Endpoint =>
    endpoint({
      method: 'put',
      path: `${STREAMS}/:live_stream_id/${isEnabled ? 'enable' : 'disable'}`,
      operation: isEnabled ? 'enableLiveStream' : 'disableLiveStream',
      tag,
      summary: isEnabled ? 'Accept publishers again.' : 'Refuse publishers and cut off the present one.',
      status: 200,
      refusals: [404],
      response: schemas.StreamView,
      async handle(call) {
        const { value, etag } = await streams.setEnabled(streamIn(call), isEnabled);
        return { data: await view(value), etag };
      },
    });
  return [
    endpoint({
      method: 'delete',
      path: `${STREAMS}/:live_stream_id`,
      operation: 'deleteLiveStream',
      tag,
      summary: 'Cut the publisher off and delete the stream; recordings stay.',
      status: 204,
      refusals: [404],
      async handle(call) {
        await streams.remove(streamIn(call));
        return { data: null };
      },
    }),
    endpoint({
      method: 'post',
      path: `${STREAMS}/:live_stream_id/reset-stream-key`,
      operation: 'resetStreamKey',
      tag,
      summary: 'Make a new stream key, shown in this answer alone; the old one is refused at once.',
      status: 200,
      refusals: [404],
      response: schemas.StreamWithKey,
      async handle(call) {
        const made = await streams.resetKey(streamIn(call));
        return { data: { ...(await view(made.value)), stream_key: made.streamKey }, etag: made.etag };
      },
    }),
    enabling(true),
    enabling(false),
  ];
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
    ...streamEndpoints(parts),
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

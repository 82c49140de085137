// Routes of live streams: path, schemas and words; what each does is in live-streams.ts and stream-keys.ts.
import type { z } from 'zod';
import { StreamId } from '../platform/contract/ids.ts';
import type { StreamRecord } from '../platform/contract/records.ts';
import type { Versioned } from './assets.ts';
import { type Endpoint, endpoint, idIn, type Method, type RawCall } from './endpoint.ts';
import type { LiveStreams } from './live-streams.ts';
import { ListQuery } from './schemas.ts';
import { SLATE_BYTES } from './slate.ts';
import type { MadeKey } from './stream-keys.ts';
import * as schemas from './stream-schemas.ts';
import { streamView } from './stream-view.ts';

export type StreamEndpointParts = { streams: LiveStreams; rtmpUrl: string; liveWindowS: number };

const PATH = '/video/v1/live-streams';
const ONE = `${PATH}/:live_stream_id`;
const tag = 'live-streams';
const streamIn = (call: Pick<RawCall, 'params'>) => idIn(call, 'live_stream_id', StreamId, 'live stream');

type Shown = z.infer<typeof schemas.StreamView>;
/** Records into answers. */
type Views = {
  one(stream: StreamRecord): Promise<Shown>;
  versioned(found: Versioned<StreamRecord>): Promise<{ data: Shown; etag: string }>;
  keyed(made: MadeKey): Promise<{ data: z.infer<typeof schemas.StreamWithKey>; etag: string }>;
};

function viewsOf({ streams, rtmpUrl, liveWindowS }: StreamEndpointParts): Views {
  const one = async (stream: StreamRecord) => streamView(stream, await streams.state(stream), rtmpUrl, liveWindowS);
  return {
    one,
    versioned: async ({ value, etag }) => ({ data: await one(value), etag }),
    keyed: async ({ value, etag, streamKey, key }) => ({
      data: { ...(await one(value)), stream_key: streamKey, key },
      etag,
    }),
  };
}

function recordEndpoints(streams: LiveStreams, views: Views): Endpoint[] {
  const response = schemas.StreamView;
  return [
    endpoint({
      method: 'post',
      path: PATH,
      operation: 'createLiveStream',
      tag,
      summary: 'Make a live stream. Its stream key is shown in this answer alone.',
      status: 201,
      body: schemas.StreamCreate,
      response: schemas.StreamWithKey,
      handle: async ({ body }) => views.keyed({ ...(await streams.create(body)), key: 'primary' }),
    }),
    endpoint({
      method: 'get',
      path: PATH,
      operation: 'listLiveStreams',
      tag,
      summary: 'Live streams, newest first.',
      status: 200,
      query: ListQuery,
      response,
      async handle({ query }) {
        const page = await streams.list(query.limit, query.cursor ?? null);
        return { data: await Promise.all(page.values.map(views.one)), nextCursor: page.nextCursor };
      },
    }),
    endpoint({
      method: 'get',
      path: ONE,
      operation: 'getLiveStream',
      tag,
      summary: 'One live stream: status, health of the signal with advice, what is encoded where, viewers, recordings.',
      status: 200,
      refusals: [404],
      response,
      handle: async (call) => views.versioned(await streams.get(streamIn(call))),
    }),
    endpoint({
      method: 'patch',
      path: ONE,
      operation: 'changeLiveStream',
      tag,
      summary: 'Change the version named in If-Match; a running broadcast keeps the settings it began with.',
      status: 200,
      refusals: [404, 412, 428],
      body: schemas.StreamChange,
      response,
      handle: async (call) => views.versioned(await streams.change(streamIn(call), call.body, call.ifMatch)),
    }),
    endpoint({
      method: 'delete',
      path: ONE,
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
  ];
}

function keyEndpoints(streams: LiveStreams, views: Views): Endpoint[] {
  const response = schemas.StreamWithKey;
  return [
    endpoint({
      method: 'post',
      path: `${ONE}/reset-stream-key`,
      operation: 'resetStreamKey',
      tag,
      summary: 'Make a new stream key, shown in this answer alone; earlier ones are refused at once.',
      status: 200,
      refusals: [404],
      response,
      handle: async (call) => views.keyed(await streams.keys.resetPrimary(streamIn(call))),
    }),
    endpoint({
      method: 'post',
      path: `${ONE}/backup-stream-key`,
      operation: 'resetBackupStreamKey',
      tag,
      summary:
        'Make the key of a second encoder, or a new one; shown in this answer alone. That encoder stands by, and is shown when the first one fails.',
      status: 200,
      refusals: [404],
      response,
      handle: async (call) => views.keyed(await streams.keys.resetBackup(streamIn(call))),
    }),
    endpoint({
      method: 'post',
      path: `${ONE}/rotate-stream-key`,
      operation: 'rotateStreamKey',
      tag,
      summary: 'Make a new key, shown in this answer alone; the present one is accepted for `grace_s` more seconds.',
      status: 200,
      refusals: [404, 409],
      body: schemas.KeyRotation,
      response,
      handle: async (call) => views.keyed(await streams.keys.rotate(streamIn(call), call.body.key, call.body.grace_s)),
    }),
  ];
}

function commandEndpoints(streams: LiveStreams, views: Views): Endpoint[] {
  const command = (
    verb: string,
    spec: { method: Method; operation: string; summary: string; refusals?: number[] },
    act: (id: StreamId) => Promise<Versioned<StreamRecord>>,
  ): Endpoint =>
    endpoint({
      ...spec,
      path: `${ONE}/${verb}`,
      tag,
      status: 200,
      refusals: spec.refusals ?? [404],
      response: schemas.StreamView,
      handle: async (call) => views.versioned(await act(streamIn(call))),
    });
  return [
    command('enable', { method: 'put', operation: 'enableLiveStream', summary: 'Accept publishers again.' }, (id) =>
      streams.setEnabled(id, true),
    ),
    command(
      'disable',
      { method: 'put', operation: 'disableLiveStream', summary: 'Refuse publishers and cut off the present ones.' },
      (id) => streams.setEnabled(id, false),
    ),
    command(
      'complete',
      {
        method: 'put',
        operation: 'completeLiveStream',
        summary: 'End the running broadcast now; its recording follows within seconds. Nothing happens without one.',
      },
      (id) => streams.complete(id),
    ),
    command(
      'kick',
      {
        method: 'post',
        operation: 'kickLiveStream',
        summary: 'Cut the publishers off; the broadcast waits its reconnect window for the next one.',
      },
      (id) => streams.kick(id),
    ),
    endpoint({
      method: 'post',
      path: `${ONE}/switch`,
      operation: 'switchLiveStream',
      tag,
      summary: 'Go over to the other encoder at its next key frame.',
      status: 200,
      refusals: [404, 409],
      body: schemas.KeySwitch,
      response: schemas.StreamView,
      handle: async (call) => views.versioned(await streams.switchTo(streamIn(call), call.body.to)),
    }),
  ];
}

function slateEndpoints(streams: LiveStreams, views: Views): Endpoint[] {
  return [
    endpoint({
      method: 'put',
      path: `${ONE}/slate`,
      operation: 'putSlate',
      tag,
      summary: 'Upload the picture that stands in while nobody publishes: JPEG or PNG, at most 2 MiB.',
      status: 200,
      refusals: [404, 413],
      raw: { types: ['image/jpeg', 'image/png'], maxBytes: SLATE_BYTES },
      response: schemas.StreamView,
      handle: async (call) => views.versioned(await streams.setSlate(streamIn(call), call.bytes)),
    }),
    endpoint({
      method: 'delete',
      path: `${ONE}/slate`,
      operation: 'deleteSlate',
      tag,
      summary: 'Remove the slate picture.',
      status: 204,
      refusals: [404],
      async handle(call) {
        await streams.removeSlate(streamIn(call));
        return { data: null };
      },
    }),
  ];
}

/** All routes of live streams. */
export function streamEndpoints(parts: StreamEndpointParts): Endpoint[] {
  const { streams } = parts;
  const views = viewsOf(parts);
  return [
    ...recordEndpoints(streams, views),
    ...keyEndpoints(streams, views),
    ...commandEndpoints(streams, views),
    ...slateEndpoints(streams, views),
  ];
}

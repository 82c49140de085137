// The world that the tests of the origin's routes ask: an fs store in a folder of its own; records and timeline are object literals.
import supertest from 'supertest';
import { createCatalog } from '../../origin/catalog.ts';
import { createDash } from '../../origin/dash.ts';
import { createImages } from '../../origin/images.ts';
import { createBlockSource } from '../../origin/index-blocks.ts';
import { LiveInits } from '../../origin/live-inits.ts';
import { createLiveMedia } from '../../origin/live-media.ts';
import { createLivePlaylists } from '../../origin/live-playlists.ts';
import { LiveWindows } from '../../origin/live-window.ts';
import { createOriginMetrics, exposeFollowed } from '../../origin/metrics.ts';
import { createObjects } from '../../origin/objects.ts';
import { createPlaybackDirectory } from '../../origin/playback.ts';
import { createPlaylists } from '../../origin/playlists.ts';
import { createRecordings } from '../../origin/recordings.ts';
import { createOriginApp } from '../../origin/routes.ts';
import { createVodPlaylists } from '../../origin/vod-playlists.ts';
import { createWorkerObjects } from '../../origin/worker-objects.ts';
import { type ObjectStorage, StorageUnavailable } from '../../platform/adapters/storage.ts';
import { createFsStorage } from '../../platform/adapters/storage-fs.ts';
import type { ContentId, PlaybackId } from '../../platform/contract/ids.ts';
import type { NodeInfo } from '../../platform/contract/nodes.ts';
import { type ObjectKey, renditionIndexKey } from '../../platform/contract/object-keys.ts';
import type { AssetRecord, BroadcastRecord, StreamRecord } from '../../platform/contract/records.ts';
import { headers, mediaPlaylistPath } from '../../platform/contract/routes.ts';
import type { TimelineEntry } from '../../platform/contract/timeline.ts';
import { createHttpClient } from '../../platform/runtime/http-client.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics, type Metrics } from '../../platform/runtime/metrics.ts';
import { tempDir } from './temp.ts';
import {
  A0,
  ASSET,
  assetOf,
  audio0,
  broadcastOf,
  entriesOf,
  LIVE_CONTENT,
  LIVE_PLAYBACK,
  renditionIndexOf,
  SIGNED_PLAYBACK,
  streamOf,
  V360,
  VIDEO_PLAYBACK,
  video360,
  WRITER,
} from './timelines.ts';

export const SECRET = 'a secret of at least 32 characters';
export const CONTENT = String(ASSET) as ContentId;

export type World = {
  asset: AssetRecord;
  stream: StreamRecord;
  broadcast: BroadcastRecord | null;
  entries: TimelineEntry[];
  /** ms since Redis answered, and the clock of the windows. */
  staleMs: number;
  now: number;
  isStoreDown: boolean;
  isReady: boolean;
  /** Known to the registry. */
  transcoders: NodeInfo[];
  /** Public addresses of the edges. */
  edges: string[];
};
export let world: World;
export let metrics: Metrics;
/** More entries of the running broadcast, once somebody has asked for it. */
export let append: (entries: TimelineEntry[]) => void;
/** Requests that wait. */
export let blockedRequests: () => number;
/** As an origin that is going does. */
export let drainWindows: () => Promise<void>;
let storage: ObjectStorage;
let app: ReturnType<typeof createOriginApp>;

/** The store, or its failure. */
function breakable(store: ObjectStorage): ObjectStorage {
  const guard = () => {
    if (world.isStoreDown) throw new StorageUnavailable('answer');
  };
  return {
    ...store,
    description: store.description,
    put: (...args) => store.put(...args),
    list: (...args) => store.list(...args),
    async get(...args) {
      guard();
      return await store.get(...args);
    },
    async read(...args) {
      guard();
      return await store.read(...args);
    },
    async head(...args) {
      guard();
      return await store.head(...args);
    },
  };
}

/** Stores a small object. */
export const put = (key: ObjectKey, text: string) => {
  const body = Buffer.from(text);
  return storage.put(key, body, { bytes: body.byteLength, contentType: 'application/octet-stream' });
};

/** A new world, store and app: one ready video, one running stream with four segments. For beforeEach. */
export async function newWorld(): Promise<void> {
  world = {
    asset: assetOf(),
    stream: streamOf(),
    broadcast: broadcastOf(),
    entries: entriesOf(1, 0, 3),
    staleMs: 0,
    now: 0,
    isStoreDown: false,
    isReady: true,
    transcoders: [],
    edges: [],
  };
  storage = breakable(createFsStorage(await tempDir('origin-routes')));
  metrics = createMetrics(false);
  const directory = createPlaybackDirectory(
    {
      async get(kind, id) {
        const all = {
          asset: world.asset,
          stream: world.stream,
          broadcast: world.broadcast,
          upload: null,
          content: null,
        };
        const value = all[kind] as never as { id: string } | null;
        return value?.id === id ? ({ value, etag: '1' } as never) : null;
      },
      async playback(id: PlaybackId) {
        if (id === LIVE_PLAYBACK) return { kind: 'stream', id: world.stream.id, policy: 'public' };
        if (id === VIDEO_PLAYBACK || id === SIGNED_PLAYBACK) return { kind: 'asset', id: ASSET, policy: 'public' };
        return null;
      },
    },
    () => world.now,
  );
  const blocks = createBlockSource(storage);
  const windows = new LiveWindows({
    source: {
      follow(_content, onEntries) {
        append = (entries) => onEntries(entries);
        onEntries(world.entries);
        return { caughtUp: Promise.resolve(), stop: () => undefined };
      },
      staleMs: () => world.staleMs,
    },
    blocks,
    record: (id) => directory.broadcast(id),
    log: silentLogger,
    windowS: 120,
    now: () => world.now,
  });
  drainWindows = () => windows.drain();
  blockedRequests = () => windows.blockedRequests();
  const counted = createOriginMetrics(metrics);
  exposeFollowed(metrics, windows);
  const vod = createVodPlaylists(storage);
  const recordings = createRecordings({ blocks, directory, windows });
  const live = createLivePlaylists({ directory, windows, buildSeconds: counted.playlistSeconds });
  const workers = createWorkerObjects({
    nodes: () => world.transcoders,
    http: createHttpClient(4, 200),
    internalSecret: SECRET,
    counted: counted.workerObjects,
  });
  app = createOriginApp({
    internalSecret: SECRET,
    log: silentLogger,
    metrics: counted,
    readiness: () => (world.isReady ? [] : ['redis: away']),
    directory,
    playlists: createPlaylists({ windows, live, vod, recordings, windowS: 120, edges: () => world.edges }),
    dash: createDash({ directory, windows, recordings, vod }),
    images: createImages({ storage, windows, recordings }),
    liveMedia: createLiveMedia({ windows, workers, inits: new LiveInits(storage) }),
    objects: createObjects(storage, workers),
    catalog: createCatalog({
      directory,
      windowS: 120,
      liveBroadcasts: async () => (world.broadcast === null ? {} : { [world.broadcast.id]: world.stream.id }),
      listAssets: async () => ({ values: [world.asset], nextCursor: null }),
    }),
  });
  await put(renditionIndexKey(CONTENT, V360, WRITER), JSON.stringify(renditionIndexOf(video360)));
  await put(renditionIndexKey(CONTENT, A0, WRITER), JSON.stringify(renditionIndexOf(audio0)));
}

/** The app itself, for requests without the secret. */
export const bare = () => supertest(app);
/** As an edge asks. */
export const get = (path: string) => supertest(app).get(path).set(headers.internal, SECRET);
export const head = (path: string) => supertest(app).head(path).set(headers.internal, SECRET);
/** Addresses. */
export const videoMedia = mediaPlaylistPath(CONTENT, V360);
export const liveMedia = mediaPlaylistPath(LIVE_CONTENT, V360);
export const segmentPath = videoMedia.replace('index.m3u8', `1/s0.${WRITER}.m4s`);
export const liveSegment = (msn: number) => liveMedia.replace('index.m3u8', `1/s${msn}.${WRITER}.m4s`);

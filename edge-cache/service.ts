// The edge put together: what it is made of, and the order in which that starts and closes.
import type { NodeInfo } from '../platform/contract/nodes.ts';
import { builtFolder } from '../platform/runtime/built-assets.ts';
import { createHttpClient } from '../platform/runtime/http-client.ts';
import { type NamedComponent, type Service, type ServiceContext, sequence } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { createPrivateServer } from '../platform/runtime/private-server.ts';
import {
  asService,
  listenerPart,
  mainListener,
  newRoleState,
  nodeInfoOf,
  type RoleState,
} from '../platform/runtime/role-frame.ts';
import { strategies } from './balancer.ts';
import type { EdgeConfig } from './config.ts';
import { purgeRoute } from './purge.ts';
import { createRegistryLink, type RegistryLink } from './registry-link.ts';
import { ORIGINS_UP, type SteeredEdge, steeredEdges } from './steering.ts';
import { createTlsPort } from './tls-port.ts';
import { createViewerSide, type ViewerSide } from './viewer-side.ts';

/** Most connections to one origin: for what it answers at once, and for what it holds back until there is news. */
const ORIGIN_CONNECTIONS = 256;
const HELD_CONNECTIONS = 2_048;
/** An origin in the same network that has not accepted by then is gone. Unit: ms. */
const CONNECT_MS = 500;
/** Requests under way have this long after the drain begins. */
const DRAIN_MS = 5_000;

/** Builds an edge; nothing is opened before start(). */
export function createEdge(config: EdgeConfig, context: ServiceContext): Service {
  const { log } = context;
  const state = newRoleState(config.publicUrl);
  const link = createRegistryLink(
    config.redisUrl,
    config.origins.length > 0,
    () => describe(context, state, tls.url, side, link.isDrained()),
    log,
  );
  const http = createHttpClient(ORIGIN_CONNECTIONS, CONNECT_MS);
  const held = createHttpClient(HELD_CONNECTIONS, CONNECT_MS);
  const tls = { url: '' };
  const side = createViewerSide({
    http,
    held,
    log,
    metrics: context.metrics,
    selector: strategies[config.strategy](),
    tuning: config.originTuning,
    internalSecret: config.internalSecret,
    memoryBytes: config.memoryBytes,
    disk: config.disk,
    limits: config.limits,
    pagesFolder: builtFolder('player'),
    origins: { urls: () => originUrls(config, link), weightOf: (url) => config.originWeights.get(url) ?? 1 },
    edges: () => edgeUrls(state.publicUrl ?? '', link),
    steered: () => steered(context, state, side, link),
    isDraining: () => state.isDraining,
    now: () => performance.now(),
  });
  const readiness = () => side.readiness();
  const privateServer = createPrivateServer(config.privatePort, config.privateHost, context.metrics, readiness);
  purgeRoute(privateServer.app, config.internalSecret, side, log);
  const whole = sequence(
    [
      { name: 'http client', component: { start: async () => undefined, close: () => http.close() } },
      { name: 'held http client', component: { start: async () => undefined, close: () => held.close() } },
      { name: 'registry', component: link.reading },
      { name: 'pages', component: { start: () => side.pages.load(), close: async () => undefined } },
      ...(side.disk === null ? [] : [{ name: 'disk cache', component: side.disk }]),
      { name: 'origins', component: side.origins },
      listenerPart('private listener', privateServer, config.advertisedHost, (url) => {
        state.privateUrl = url;
      }),
      viewerListener(side, config, state),
      ...tlsListener(side, config, log, (url) => {
        tls.url = url;
      }),
      { name: 'heartbeat', component: link.beating },
    ],
    log,
  );
  return asService(whole, state);
}

const originUrls = (config: EdgeConfig, registry: RegistryLink): string[] => {
  if (config.origins.length > 0) return config.origins;
  const nodes = registry.nodes('origin');
  const healthy = nodes.filter((node) => node.state === 'healthy');
  return (healthy.length > 0 ? healthy : nodes).map((node) => node.url);
};

/** This edge first, then the others in a stable order. */
function edgeUrls(own: string, registry: RegistryLink): string[] {
  const others = registry.nodes('edge').flatMap((node) => {
    const isOffered = node.state === 'healthy' && node.public_url !== null && node.public_url !== own;
    return isOffered ? [node.public_url ?? ''] : [];
  });
  return [own, ...[...new Set(others)].sort()];
}

function steered(context: ServiceContext, state: RoleState, side: ViewerSide, link: RegistryLink): SteeredEdge[] {
  const own = {
    id: context.node,
    address: state.publicUrl ?? '',
    isFit: !state.isDraining && !link.isDrained() && side.origins.counts().up > 0,
    load: side.connections(),
  };
  return steeredEdges(own, link.nodes('edge'));
}

const describe = (
  context: ServiceContext,
  state: RoleState,
  tlsUrl: string,
  side: ViewerSide,
  isDrained: boolean,
): NodeInfo => ({
  ...nodeInfoOf(context, state, {
    connections: side.connections(),
    cache_bytes: side.cacheBytes(),
    [ORIGINS_UP]: side.origins.counts().up,
  }),
  ...(tlsUrl === '' ? {} : { tls_url: tlsUrl }),
  ...(isDrained ? { is_drained: true, state: 'draining' } : {}),
  viewers: side.viewerCounts(),
});

function viewerListener(side: ViewerSide, config: EdgeConfig, state: RoleState): NamedComponent {
  const place = { port: config.port, host: config.host, variable: 'HEADWATER_EDGE_PORTS' };
  const main = mainListener(side.server, place, DRAIN_MS);
  const listener = {
    ...main,
    async close() {
      side.fills.close();
      await main.close();
    },
  };
  return listenerPart('viewer listener', listener, config.advertisedHost, (url, port) => {
    state.url = url;
    state.publicUrl = config.publicUrl ?? `http://localhost:${port}`;
  });
}

/** The TLS port, where one is set. */
function tlsListener(
  side: ViewerSide,
  { host, tls, advertisedHost }: EdgeConfig,
  log: Logger,
  opened: (url: string) => void,
): NamedComponent[] {
  if (tls === null) return [];
  const listener = createTlsPort({ place: { ...tls, host }, h1: side.server, h2: side.h2, drainMs: DRAIN_MS, log });
  return [
    listenerPart('TLS listener', listener, advertisedHost, (_url, port) => opened(`https://${advertisedHost}:${port}`)),
  ];
}

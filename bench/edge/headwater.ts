// Our edge as it is shipped: the built one, with its log, metrics, health checks and a heartbeat in a Redis of its own.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { VERSION } from '../../platform/contract/nodes.ts';
import { freePort } from '../../test/support/ports.ts';
import { startRedis } from '../../test/support/redis.ts';
import { answers, basesOf, type Peer, PROTOCOLS, type RunningPeer, type Surroundings } from './peer.ts';
import { SERVER_CORE, startPinned } from './processes.ts';

const MAIN = resolve('dist/edge-cache/main.js');

export const headwater: Peer = {
  name: 'headwater',
  isCache: true,
  speaks: PROTOCOLS,
  version: () => (existsSync(MAIN) ? VERSION : null),
  wants: 'npm run build',
  start,
};

async function start({ folder, origins, certificate, cacheBytes, env }: Surroundings): Promise<RunningPeer> {
  const redis = await startRedis();
  const [port, tlsPort, privatePort] = [await freePort(), await freePort(), await freePort()];
  const settings = {
    REDIS_URL: redis.url,
    HEADWATER_INTERNAL_SECRET: 'secret-of-the-bench-and-nobody-else',
    HEADWATER_DATA_DIR: folder,
    HEADWATER_BIND: '127.0.0.1',
    HEADWATER_PORT: String(port),
    HEADWATER_METRICS_PORT: String(privatePort),
    HEADWATER_EDGE_TLS_PORTS: String(tlsPort),
    HEADWATER_TLS_CERT: certificate.cert,
    HEADWATER_TLS_KEY: certificate.key,
    HEADWATER_ORIGINS: origins.join(','),
    HEADWATER_EDGE_MEMORY_BYTES: String(cacheBytes),
    NODE_ENV: 'production',
    ...env,
  };
  const isReady = answers(`http://127.0.0.1:${port}/readyz`, tlsPort);
  const server = await startPinned(
    SERVER_CORE,
    process.execPath,
    [MAIN],
    { cwd: process.cwd(), env: settings },
    isReady,
  ).catch(async (thrown: unknown) => {
    await redis.stop();
    throw thrown;
  });
  return {
    ...server,
    bases: basesOf(port, tlsPort),
    async stop() {
      await server.stop();
      await redis.stop();
    },
  };
}

// nginx as a cache before the origins, and as a ceiling: the same files straight from tmpfs.
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { freePort } from '../../test/support/ports.ts';
import { answers, basesOf, type Peer, PROTOCOLS, writeConfiguration } from './peer.ts';
import { SERVER_CORE, startPinned, versionOf } from './processes.ts';

const version = () => versionOf('nginx', ['-v'], /nginx\/(\S+)/);
const wants = 'apt-get install nginx-light';

export const nginx: Peer = {
  name: 'nginx',
  isCache: true,
  speaks: PROTOCOLS,
  version,
  wants,
  start: async (surroundings) =>
    start(surroundings, await readFile(resolve('bench/edge/peers/nginx-cache.conf'), 'utf8')),
};

export const nginxStatic: Peer = {
  name: 'nginx-static',
  isCache: false,
  speaks: PROTOCOLS,
  version,
  wants,
  start: (surroundings) => start(surroundings, ''),
};

const start = async (
  { folder, www, origins, certificate, cacheBytes }: Parameters<Peer['start']>[0],
  location: string,
): ReturnType<Peer['start']> => {
  const [port, tlsPort] = [await freePort(), await freePort()];
  await mkdir(join(folder, 'cache'), { recursive: true });
  const path = await writeConfiguration('nginx.conf', join(folder, 'nginx.conf'), {
    folder,
    www,
    port,
    tlsPort,
    cacheBytes,
    location,
    ...certificate,
    user: process.getuid?.() === 0 ? 'user root;' : '',
    servers: origins.map((origin) => `server ${new URL(origin).host} max_fails=3 fail_timeout=10s;`).join('\n    '),
  });
  const args = ['-p', folder, '-c', path];
  const server = await startPinned(
    SERVER_CORE,
    'nginx',
    args,
    { cwd: folder },
    answers(`http://127.0.0.1:${port}/`, tlsPort),
  );
  return {
    ...server,
    bases: basesOf(port, tlsPort),
  };
};

// Apache Traffic Server, run by itself in a folder of its own.
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { freePort } from '../../test/support/ports.ts';
import { answers, basesOf, type Peer, PROTOCOLS, writeConfiguration } from './peer.ts';
import { SERVER_CORE, startPinned, versionOf } from './processes.ts';

/** Less would be no store to it. Unit: bytes. */
const LEAST_STORE_BYTES = 256 * 1024 ** 2;

export const trafficServer: Peer = {
  name: 'trafficserver',
  isCache: true,
  speaks: PROTOCOLS,
  version: () => versionOf('traffic_server', ['--version'], /Traffic Server (\d+\.\d+\.\d+)/),
  wants: 'apt-get install trafficserver',
  async start({ folder, origins, certificate, cacheBytes }) {
    const [port, tlsPort] = [await freePort(), await freePort()];
    for (const name of ['etc', 'cache', 'log', 'run', 'var', 'share']) await mkdir(join(folder, name));
    const write = (name: string, text: string) => writeFile(join(folder, `etc/${name}`), `${text}\n`);
    const certFolder = dirname(certificate.cert);
    await writeConfiguration('trafficserver/records.config', join(folder, 'etc/records.config'), {
      port,
      tlsPort,
      cacheBytes,
      certFolder,
    });
    await writeConfiguration('trafficserver/parent.config', join(folder, 'etc/parent.config'), {
      parents: origins.map((origin) => `${new URL(origin).host}|1.0`).join(';'),
    });
    await write('remap.config', 'map / http://origin.bench/');
    await write('storage.config', `${folder}/cache ${Math.max(LEAST_STORE_BYTES, cacheBytes)}`);
    const [cert, key] = [basename(certificate.cert), basename(certificate.key)];
    await write('ssl_multicert.config', `dest_ip=* ssl_cert_name=${cert} ssl_key_name=${key}`);
    await write(
      'ip_allow.yaml',
      'ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.0/8\n    action: allow\n    methods: ALL',
    );
    const root = await writeConfiguration('trafficserver/runroot.yaml', join(folder, 'runroot.yaml'), { folder });
    const server = await startPinned(
      SERVER_CORE,
      'traffic_server',
      [`--run-root=${root}`],
      { cwd: folder },
      // Until its store is ready it passes everything on.
      answers(`http://127.0.0.1:${port}/healthz`, tlsPort),
    );
    return {
      ...server,
      bases: basesOf(port, tlsPort),
    };
  },
};

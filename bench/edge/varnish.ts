// Varnish with its store in memory; hitch in front of it where TLS is asked for.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../test/support/ports.ts';
import { answers, type Peer, type RunningPeer, type Surroundings, shakesHands, writeConfiguration } from './peer.ts';
import { type Pinned, SERVER_CORE, startPinned, versionOf } from './processes.ts';

const hasHitch = () => versionOf('hitch', ['--version'], /hitch (\S+)/) !== null;

export const varnish: Peer = {
  name: 'varnish',
  isCache: true,
  get speaks() {
    return hasHitch() ? (['plain', 'tls', 'h2'] as const) : (['plain'] as const);
  },
  version: () => versionOf('varnishd', ['-V'], /varnish-(\S+)/),
  wants: 'apt-get install varnish hitch',
  start,
};

async function start(surroundings: Surroundings): Promise<RunningPeer> {
  const { folder, origins, cacheBytes } = surroundings;
  const port = await freePort();
  const socket = join(folder, 'proxy.sock');
  const backends = origins.map((origin, index) => {
    const { hostname, port: at } = new URL(origin);
    const probe =
      '.probe = { .url = "/healthz"; .interval = 1s; .timeout = 1s; .window = 4; .threshold = 2; .initial = 4; }';
    return `backend o${index} { .host = "${hostname}"; .port = "${at}"; .connect_timeout = 1s; .first_byte_timeout = 30s; ${probe} }`;
  });
  const vcl = await writeConfiguration('varnish.vcl', join(folder, 'bench.vcl'), {
    backends: backends.join('\n'),
    add: origins.map((_origin, index) => `origins.add_backend(o${index});`).join('\n  '),
  });
  const parameters = [
    'thread_pools=1',
    'thread_pool_min=500',
    'thread_pool_max=5000',
    'feature=+http2',
    'timeout_idle=60',
    'listen_depth=4096',
    // Nobody reads its log here: what every request would write into shared memory is left out.
    'vsl_mask=-ReqStart,-ReqMethod,-ReqURL,-ReqProtocol,-ReqHeader,-RespProtocol,-RespStatus,-RespReason,-RespHeader,-ReqAcct,-Timestamp,-Hit,-VCL_call,-VCL_return,-SessOpen,-SessClose,-Begin,-End,-Link,-ReqUnset,-RespUnset,-BereqHeader,-BerespHeader,-Debug,-H2RxHdr,-H2RxBody,-H2TxHdr,-H2TxBody',
  ];
  const store = ['-s', `default=malloc,${cacheBytes}`, '-j', 'none', '-T', 'none'];
  const places = ['-n', join(folder, 'vsm'), '-a', `127.0.0.1:${port}`, '-a', `${socket},PROXY,mode=666`];
  const args = ['-F', '-f', vcl, ...places, ...store, ...parameters.flatMap((one) => ['-p', one])];
  const server = await startPinned(
    SERVER_CORE,
    'varnishd',
    args,
    { cwd: folder },
    answers(`http://127.0.0.1:${port}/healthz`),
  );
  const plain = { ...server, bases: { plain: `http://127.0.0.1:${port}` } };
  if (!hasHitch()) return plain;
  return withHitch(plain, surroundings, socket).catch(async (thrown: unknown) => {
    await server.stop();
    throw thrown;
  });
}

async function withHitch(
  varnishd: RunningPeer,
  { folder, certificate }: Surroundings,
  socket: string,
): Promise<RunningPeer> {
  const tlsPort = await freePort();
  const pem = join(folder, 'hitch.pem');
  await writeFile(pem, (await readFile(certificate.key, 'utf8')) + (await readFile(certificate.cert, 'utf8')));
  const isRoot = process.getuid?.() === 0;
  const path = await writeConfiguration('hitch.conf', join(folder, 'hitch.conf'), {
    tlsPort,
    socket,
    pem,
    user: isRoot ? 'user = "root"' : '',
  });
  const base = `https://127.0.0.1:${tlsPort}`;
  const hitch: Pinned = await startPinned(SERVER_CORE, 'hitch', [`--config=${path}`], { cwd: folder }, () =>
    shakesHands(tlsPort),
  );
  return {
    bases: { ...varnishd.bases, tls: base, h2: base },
    pids: () => [...varnishd.pids(), ...hitch.pids()],
    command: `${varnishd.command}\n${hitch.command}`,
    async stop() {
      await hitch.stop();
      await varnishd.stop();
    },
  };
}

// A TCP proxy that cuts connections after given numbers of bytes, as a bad network does.
import { connect, createServer, type Socket } from 'node:net';
import { freePort } from './ports.ts';

export type CuttingProxy = { url: string; cuts(): number; close(): Promise<void> };

/**
 * @param targetPort on the loopback interface
 * @param cutAfter bytes from the client after which the nth connection that carries that many is reset; later ones live
 */
export async function startCuttingProxy(targetPort: number, cutAfter: number[], port?: number): Promise<CuttingProxy> {
  const remaining = [...cutAfter];
  const sockets = new Set<Socket>();
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    let seen = 0;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    upstream.pipe(client);
    client.on('data', (chunk: Buffer) => {
      seen += chunk.byteLength;
      const limit = remaining[0];
      if (limit !== undefined && seen >= limit) {
        remaining.shift();
        cuts += 1;
        upstream.write(chunk.subarray(0, chunk.byteLength - (seen - limit)), () => upstream.resetAndDestroy());
        client.resetAndDestroy();
        return;
      }
      if (!upstream.write(chunk)) {
        client.pause();
        upstream.once('drain', () => client.resume());
      }
    });
  });
  const chosen = port ?? (await freePort());
  await new Promise<void>((resolve) => server.listen(chosen, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${chosen}`,
    cuts: () => cuts,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

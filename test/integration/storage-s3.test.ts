// The s3 driver on a real MinIO: the shared suite, and what only a server can do wrong.
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { ObjectConflict, StorageUnavailable, StorageUnfit } from '../../platform/adapters/storage.ts';
import { createS3Storage } from '../../platform/adapters/storage-s3.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { ObjectKey } from '../../platform/contract/object-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { hasMinio, startMinio, type TestMinio } from '../support/minio.ts';
import { storageSuite } from '../support/storage-suite.ts';

const found = await hasMinio();
const listen = async (server: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): unknown;
}) => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
};

describe.skipIf(!found)('s3 storage on minio', () => {
  let minio: TestMinio;
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(() => minio?.stop());

  storageSuite(() => minio.settings);

  test('a put whose answer was lost is known to be ours', async () => {
    // Passes everything on, but breaks the link instead of handing back the first answer to a PUT.
    const target = new URL(minio.settings.S3_ENDPOINT ?? '');
    let lost = 0;
    const proxy: Server = createTcpServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      let isPut = false;
      client.on('data', (chunk) => {
        isPut ||= chunk.subarray(0, 60).toString('latin1').startsWith('PUT ') && chunk.includes('/records/');
        upstream.write(chunk);
      });
      upstream.on('data', (chunk) => {
        if (isPut && lost === 0) {
          lost += 1;
          client.destroy();
        } else client.write(chunk);
      });
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
      }
    });
    const port = await listen(proxy);
    const direct = openStorage(minio.settings, silentLogger);
    await direct.prove();
    // The signature covers the host, so MinIO must be told the proxy's name: it signs what it is sent.
    const storage = openStorage({ ...minio.settings, S3_ENDPOINT: `http://127.0.0.1:${port}` }, silentLogger);
    const key = `records/asset/${newId()}` as ObjectKey;
    const options = { bytes: 3, contentType: 'application/json', condition: { ifNoneMatch: '*' } as const };
    const etag = await storage.put(key, Buffer.from('"a"'), options);
    expect(lost).toBe(1);
    expect((await direct.head(key)).etag).toBe(etag);
    await expect(storage.put(key, Buffer.from('"b"'), options)).rejects.toThrow(ObjectConflict);
    await Promise.all([storage.close(), direct.close()]);
    proxy.close();
  });

  test('says that the store is away, and works again when it is back', async () => {
    const storage = openStorage(minio.settings, silentLogger);
    const key = `records/asset/${newId()}` as ObjectKey;
    const body = Buffer.from('"a"');
    await storage.put(key, body, { bytes: 3, contentType: 'application/json' });
    await minio.kill();
    await expect(storage.read(key)).rejects.toThrow(StorageUnavailable);
    await expect(storage.put(key, body, { bytes: 3, contentType: 'application/json' })).rejects.toThrow(
      StorageUnavailable,
    );
    await minio.restart();
    expect((await storage.read(key)).body.toString()).toBe('"a"');
    await storage.close();
  });

  test('wrong keys are named at the start', async () => {
    const storage = openStorage({ ...minio.settings, S3_SECRET_KEY: 'wrong-secret-key' }, silentLogger);
    await expect(storage.prove()).rejects.toThrow(StorageUnavailable);
    await storage.close();
  });
});

describe('s3 storage on a server that ignores conditions', () => {
  test('refuses to run', async () => {
    const server = createServer((request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(200, { etag: '"same"' }).end());
    });
    const port = await listen(server);
    const storage = createS3Storage({
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: 'headwater',
      accessKey: 'test',
      secretKey: 'test-secret',
    });
    await expect(storage.prove()).rejects.toThrow(StorageUnfit);
    await storage.close();
    server.closeAllConnections();
    server.close();
  });
});

// Object store in an S3 bucket (MinIO or any S3 server with conditional writes). The one file that names the minio package.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { Client, S3Error } from 'minio';
import type { ObjectKey } from '../contract/object-keys.ts';
import { AppError, SettingsInvalid } from '../runtime/errors.ts';
import { backoffMs, delay } from '../runtime/waits.ts';
import {
  type ByteRange,
  checkKey,
  ObjectConflict,
  type ObjectEntry,
  type ObjectHead,
  ObjectMissing,
  ObjectRefused,
  type ObjectStorage,
  type PutCondition,
  StorageFull,
  StorageUnavailable,
  StorageUnfit,
  VERSIONED_PREFIX,
} from './storage.ts';
import { proveStorage } from './storage-proof.ts';

const RECORD_MS = 10_000;
const MEDIA_MS = 60_000;
/** A body that stands still this long is broken off. */
const STALL_MS = 15_000;
const TRIES = 3;
const DELETE_BATCH = 500;
const MAX_PUT_BYTES = 5 * 1024 ** 3;

const MISSING = new Set(['NoSuchKey', 'NotFound', 'NoSuchBucket']);
const CONFLICT = new Set(['PreconditionFailed', 'ConditionalRequestConflict']);
const FULL = new Set(['XMinioStorageFull', 'XMinioBackendDown', 'InsufficientStorage', 'QuotaExceeded']);

/** Answers that the package throws for without reading them. */
const UNREAD_STATUSES = new Set([408, 429, 499, 500, 502, 503, 504, 520]);

export type S3Settings = { endpoint: string; region: string; bucket: string; accessKey: string; secretKey: string };

type PutOptions = { bytes: number; contentType: string; condition?: PutCondition; signal?: AbortSignal };
type Call = { method: string; key?: string; query?: string; headers?: Record<string, string>; expect?: number[] };

/** Signal of the request under way: the client package has no place to hand one down. */
const requestSignal = new AsyncLocalStorage<AbortSignal>();

/** node:http with the signal put in, and answers drained that the client package would leave on the socket. */
function transportOver(target: typeof http | typeof https): Pick<typeof http, 'request'> {
  const request = (options: http.RequestOptions, onResponse: (response: http.IncomingMessage) => void) => {
    const signal = requestSignal.getStore();
    const outgoing = target.request({ ...options, ...(signal ? { signal } : {}) }, (response) => {
      // These never reach its error parser, so nothing else would read their bodies.
      if (UNREAD_STATUSES.has(response.statusCode ?? 0)) response.resume();
      // Bytes waiting for a slow reader are no fault of the store.
      outgoing.setTimeout(STALL_MS, () => {
        if (response.readableLength === 0) response.destroy(new Error(`no byte for ${STALL_MS} ms`));
      });
      onResponse(response);
    });
    return outgoing;
  };
  return { request: request as typeof http.request };
}

class S3Storage implements ObjectStorage {
  readonly description: string;
  readonly #bucket: string;
  readonly #client: Client;
  readonly #agent: http.Agent;
  #bucketKnown: Promise<void> | null = null;

  constructor(settings: S3Settings) {
    const url = endpointOf(settings.endpoint);
    const isSecure = url.protocol === 'https:';
    const target = isSecure ? https : http;
    this.description = `s3 ${url.origin}/${settings.bucket}`;
    this.#bucket = settings.bucket;
    this.#agent = new target.Agent({ keepAlive: true, maxSockets: 128, maxFreeSockets: 32, scheduling: 'lifo' });
    this.#client = new Client({
      endPoint: url.hostname,
      port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
      useSSL: isSecure,
      accessKey: settings.accessKey,
      secretKey: settings.secretKey,
      region: settings.region,
      pathStyle: true,
      transport: transportOver(target),
      transportAgent: this.#agent,
      retryOptions: { disableRetry: true },
    });
    // Bodies are guarded by their length, and buffers by Content-MD5: a stream need not be read twice to be signed.
    this.#client.enableSHA256 = false;
  }

  /** One request; the limit runs until the answer's head is here, the caller's signal and the stall limit after it. */
  async #request(call: Call, body: Buffer | Readable | '', limitMs: number, signal?: AbortSignal) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new Error(`no answer within ${limitMs} ms`)), limitMs);
    const stop = signal ? AbortSignal.any([limit.signal, signal]) : limit.signal;
    try {
      return await requestSignal.run(stop, () =>
        this.#client.makeRequestStreamAsync(
          {
            method: call.method,
            bucketName: this.#bucket,
            ...(call.key === undefined ? {} : { objectName: call.key }),
            ...(call.query === undefined ? {} : { query: call.query }),
            headers: call.headers ?? {},
          },
          body,
          '',
          call.expect ?? [200],
          '',
        ),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Again after link faults and 5xx, never after an answer that means something. */
  async #again<T>(what: string, key: string, signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        signal?.throwIfAborted();
        return await attempt();
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        if (thrown instanceof S3Error || thrown instanceof AppError || tries >= TRIES) throw mapped(thrown, what, key);
        await delay(backoffMs(tries, 50, 1_000), signal);
      }
    }
  }

  async put(key: ObjectKey, body: Buffer | Readable, options: PutOptions): Promise<string> {
    const isRecord = key.startsWith(VERSIONED_PREFIX);
    checkPut(key, isRecord, options);
    if (Buffer.isBuffer(body) && body.length !== options.bytes) {
      throw new StorageUnavailable(`store ${body.length} bytes that were announced as ${options.bytes}`);
    }
    try {
      await this.#ensureBucket();
      const headers = putHeaders(body, options);
      const limitMs = isRecord ? RECORD_MS : MEDIA_MS * Math.max(1, Math.ceil(options.bytes / (8 * 1024 ** 2)));
      const once = async (content: Buffer | Readable) => {
        const answer = await this.#request({ method: 'PUT', key, headers }, content, limitMs, options.signal);
        answer.resume();
        return etagOf(answer);
      };
      if (body instanceof Readable) return await once(exactly(body, options.bytes));
      if (options.condition === undefined) return await this.#again('store', key, options.signal, () => once(body));
      return await this.#putConditional(key, body, () => once(body), options.signal);
    } catch (thrown) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw mapped(thrown, 'store', key, options.condition !== undefined);
    } finally {
      if (body instanceof Readable) body.destroy();
    }
  }

  /** A lost answer leaves open whether the put happened: if our bytes are what is stored, it did. */
  async #putConditional(key: ObjectKey, body: Buffer, once: () => Promise<string>, signal?: AbortSignal) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await once();
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        const isConflict = thrown instanceof S3Error && CONFLICT.has(thrown.code ?? '');
        if (isConflict && tries === 1) throw thrown;
        if (!isConflict && (thrown instanceof S3Error || tries >= TRIES)) throw thrown;
        await delay(backoffMs(tries, 50, 1_000), signal);
        const stored = await this.read(key, signal ? { signal } : {}).catch((failure: unknown) => {
          if (failure instanceof ObjectMissing) return null;
          throw failure;
        });
        if (stored?.body.equals(body)) return stored.etag;
        if (isConflict) throw thrown;
      }
    }
  }

  async get(
    key: ObjectKey,
    options: { range?: ByteRange; signal?: AbortSignal } = {},
  ): Promise<{ head: ObjectHead; body: Readable }> {
    checkKey(key);
    const { range, signal } = options;
    const headers: Record<string, string> = range ? { range: `bytes=${range.first}-${range.last}` } : {};
    const answer = await this.#again('read', key, signal, () =>
      this.#request({ method: 'GET', key, headers, expect: [200, 206] }, '', RECORD_MS, signal),
    );
    return { head: headOf(answer), body: answer };
  }

  async read(key: ObjectKey, options: { signal?: AbortSignal } = {}): Promise<{ etag: string; body: Buffer }> {
    const { signal } = options;
    return this.#again('read', key, signal, async () => {
      const { head, body } = await this.get(key, options);
      const chunks: Buffer[] = [];
      for await (const chunk of body) chunks.push(chunk as Buffer);
      return { etag: head.etag, body: Buffer.concat(chunks) };
    });
  }

  async head(key: ObjectKey, options: { signal?: AbortSignal } = {}): Promise<ObjectHead> {
    checkKey(key);
    const answer = await this.#again('look up', key, options.signal, () =>
      this.#request({ method: 'HEAD', key }, '', RECORD_MS, options.signal),
    );
    answer.resume();
    return headOf(answer);
  }

  async *list(prefix: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<ObjectEntry> {
    let token = '';
    do {
      const page = await this.#again('list', prefix, options.signal, async () => {
        try {
          return await this.#limited(RECORD_MS, options.signal, () =>
            this.#client.listObjectsV2Query(this.#bucket, prefix, token, '', 1_000, ''),
          );
        } catch (thrown) {
          if (thrown instanceof S3Error && thrown.code === 'NoSuchBucket') return null;
          throw thrown;
        }
      });
      for (const item of page?.objects ?? []) {
        if (item.name !== undefined) yield { key: item.name as ObjectKey, bytes: item.size };
      }
      token = page?.isTruncated ? page.nextContinuationToken : '';
    } while (token !== '');
  }

  async delete(keys: ObjectKey[], options: { signal?: AbortSignal } = {}): Promise<void> {
    for (const key of keys) checkKey(key);
    for (let i = 0; i < keys.length; i += DELETE_BATCH) {
      const batch = keys.slice(i, i + DELETE_BATCH);
      await this.#again('delete', batch[0] ?? '', options.signal, async () => {
        const faults = await this.#limited(MEDIA_MS, options.signal, () =>
          this.#client.removeObjects(this.#bucket, batch),
        ).catch((thrown: unknown) => {
          if (thrown instanceof S3Error && thrown.code === 'NoSuchBucket') return [];
          throw thrown;
        });
        const fault = faults.find((item) => item !== undefined && item !== null);
        if (fault !== undefined) throw new StorageUnavailable(`delete: ${JSON.stringify(fault).slice(0, 300)}`);
      });
    }
  }

  /** Time limit for calls in which the package reads the whole answer itself. */
  async #limited<T>(ms: number, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const limit = AbortSignal.timeout(ms);
    return requestSignal.run(signal ? AbortSignal.any([limit, signal]) : limit, work);
  }

  #ensureBucket(): Promise<void> {
    this.#bucketKnown ??= this.#makeBucket().catch((thrown: unknown) => {
      this.#bucketKnown = null;
      throw thrown;
    });
    return this.#bucketKnown;
  }

  async #makeBucket(): Promise<void> {
    await this.#again('make the bucket', this.#bucket, undefined, async () => {
      const isThere = await this.#limited(RECORD_MS, undefined, () => this.#client.bucketExists(this.#bucket));
      if (isThere) return;
      try {
        await this.#limited(RECORD_MS, undefined, () => this.#client.makeBucket(this.#bucket));
      } catch (thrown) {
        // Another role may have been quicker.
        const code = thrown instanceof S3Error ? thrown.code : '';
        if (code !== 'BucketAlreadyOwnedByYou' && code !== 'BucketAlreadyExists') throw thrown;
      }
    });
  }

  async prove(): Promise<void> {
    await this.#ensureBucket();
    await proveStorage(this);
  }

  async freeBytes(): Promise<number | null> {
    return null;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }
}

function endpointOf(endpoint: string): URL {
  try {
    const url = new URL(endpoint);
    if (/^https?:$/.test(url.protocol) && url.pathname === '/') return url;
  } catch {
    // Falls through to the one message.
  }
  throw new SettingsInvalid([{ variable: 'HEADWATER_S3_ENDPOINT', message: 'must look like http://host:port' }]);
}

function checkPut(key: ObjectKey, isRecord: boolean, options: PutOptions): void {
  checkKey(key);
  if (options.bytes > MAX_PUT_BYTES) throw new ObjectRefused(key, 'one object holds at most 5 GiB');
  if (isRecord && options.bytes === 0) throw new ObjectRefused(key, 'a record is never empty');
  if (!isRecord && options.condition !== undefined && 'ifMatch' in options.condition) {
    throw new ObjectRefused(key, 'only records are replaced under If-Match');
  }
}

function putHeaders(body: Buffer | Readable, options: PutOptions): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': options.contentType,
    'content-length': String(options.bytes),
  };
  if (Buffer.isBuffer(body)) headers['content-md5'] = createHash('md5').update(body).digest('base64');
  if (options.condition !== undefined) {
    if ('ifMatch' in options.condition) headers['if-match'] = options.condition.ifMatch;
    else headers['if-none-match'] = '*';
  }
  return headers;
}

/** The stream, failing as soon as it is longer or at its end shorter than announced: else a request would hang or be cut. */
function exactly(body: Readable, bytes: number): Readable {
  return Readable.from(
    (async function* () {
      let seen = 0;
      for await (const chunk of body) {
        seen += (chunk as Buffer).length;
        if (seen > bytes) break;
        yield chunk as Buffer;
      }
      if (seen !== bytes) throw new StorageUnavailable(`store ${seen} bytes that were announced as ${bytes}`);
    })(),
    { objectMode: false },
  );
}

const etagOf = (answer: http.IncomingMessage): string => String(answer.headers.etag ?? '');

function headOf(answer: http.IncomingMessage): ObjectHead {
  const { headers } = answer;
  const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  return {
    bytes: Number(total ?? headers['content-length'] ?? 0),
    etag: etagOf(answer),
    contentType: headers['content-type'] ?? 'application/octet-stream',
    modifiedAt: Date.parse(headers['last-modified'] ?? '') || 0,
  };
}

/** One of the storage errors. A missing key under a condition is a lost race: the ETag asked for is gone. */
function mapped(thrown: unknown, what: string, key: string, isConditional = false): AppError {
  if (thrown instanceof AppError) return thrown;
  const code = thrown instanceof S3Error ? (thrown.code ?? '') : '';
  if (CONFLICT.has(code) || (isConditional && code === 'NoSuchKey')) return new ObjectConflict(key, { cause: thrown });
  if (MISSING.has(code) && what !== 'store') return new ObjectMissing(key, { cause: thrown });
  if (FULL.has(code)) return new StorageFull({ cause: thrown });
  if (code === 'NotImplemented') return new StorageUnfit('it does not know a request that is needed');
  return new StorageUnavailable(`${what} ${key}`, { cause: thrown });
}

/** Object store in one bucket of an S3 server. */
export function createS3Storage(settings: S3Settings): ObjectStorage {
  return new S3Storage(settings);
}

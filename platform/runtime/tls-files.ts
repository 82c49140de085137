// Certificate and key of a TLS listener, read from files and read again when they change: a renewed certificate needs no restart.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type Server } from 'node:tls';
import { AppError, messageOf } from './errors.ts';
import type { Component } from './lifecycle.ts';
import type { Logger } from './log.ts';
import { type Loop, repeat } from './waits.ts';

/** PEM files: certificate chain and private key. */
export type TlsFiles = { cert: string; key: string };
type Pair = { cert: Buffer; key: Buffer };

/** Certificate and key cannot be read, or do not fit together. */
export class TlsFilesInvalid extends AppError {
  constructor(files: TlsFiles, options: ErrorOptions) {
    super(
      'TLS_FILES_INVALID',
      `${files.cert} and ${files.key} are no certificate and key: ${messageOf(options.cause)}`,
      {
        source: 'client',
        retryable: false,
        ...options,
      },
    );
  }
}

/** How often the files are looked at. A watcher would miss mounted secrets, which change by a link. Unit: ms. */
const LOOK_MS = 5_000;

/**
 * Reads both files; they must fit together.
 * @throws TlsFilesInvalid
 */
export async function readTlsFiles(files: TlsFiles): Promise<Pair> {
  try {
    const pair = { cert: await readFile(files.cert), key: await readFile(files.key) };
    createSecureContext(pair);
    return pair;
  } catch (thrown) {
    throw new TlsFilesInvalid(files, { cause: thrown });
  }
}

/**
 * Keeps a TLS server on what the files hold. start() reads them for the first time; connections that are open keep their certificate. Files
 * that do not fit together (one was written before the other) change nothing: they are looked at again.
 * @param lookMs how often the files are read, ms
 */
export function followTlsFiles(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  log: Logger,
  lookMs = LOOK_MS,
): Component {
  let loop: Loop | null = null;
  let seen = '';
  let isFailing = false;
  const load = async () => {
    const pair = await readTlsFiles(files);
    const now = createHash('sha256').update(pair.cert).update(pair.key).digest('hex');
    isFailing = false;
    if (now === seen) return;
    server.setSecureContext(pair);
    if (seen !== '') log.info('certificate loaded anew', { file: files.cert });
    seen = now;
  };
  return {
    async start() {
      await load();
      loop = repeat(lookMs, load, (thrown) => {
        if (!isFailing) log.warn('certificate not loaded, the old one stands', { reason: messageOf(thrown) });
        isFailing = true;
      });
    },
    async close() {
      await loop?.close();
      loop = null;
    },
  };
}

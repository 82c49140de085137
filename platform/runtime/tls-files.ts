// Certificate and key of a TLS listener, read from files and read again when they change: a renewed certificate needs no restart.
import { readFile } from 'node:fs/promises';
import { createSecureContext, DEFAULT_CIPHERS, type Server } from 'node:tls';
import { variableOf } from '../contract/settings.ts';
import { AppError, messageOf } from './errors.ts';
import type { Component } from './lifecycle.ts';
import type { Logger } from './log.ts';
import { type Loop, repeat } from './waits.ts';

/** PEM files: certificate chain and private key. */
export type TlsFiles = { cert: string; key: string };
type TlsPair = { cert: Buffer; key: Buffer };

/** Certificate and key cannot be read, or do not fit together. */
export class TlsFilesInvalid extends AppError {
  constructor(files: TlsFiles, options: ErrorOptions) {
    const names = `${variableOf('TLS_CERT')} (${files.cert}) and ${variableOf('TLS_KEY')} (${files.key})`;
    super('TLS_FILES_INVALID', `${names} are no certificate with its key: ${messageOf(options.cause)}`, {
      source: 'client',
      retryable: false,
      ...options,
    });
  }
}

/** How often the files are looked at. A watcher would miss mounted secrets, which change by a link. Unit: ms. */
const LOOK_MS = 5_000;

async function readPair(files: TlsFiles): Promise<TlsPair> {
  try {
    const pair = { cert: await readFile(files.cert), key: await readFile(files.key) };
    createSecureContext(pair);
    return pair;
  } catch (thrown) {
    throw new TlsFilesInvalid(files, { cause: thrown });
  }
}

/** Node's list, AES-128 first: as safe for as long as video matters, and cheaper for each byte. */
const CIPHERS = `TLS_AES_128_GCM_SHA256:${DEFAULT_CIPHERS}`;

/**
 * Keeps a TLS server on what the files hold. start() reads them for the first time, and throws TlsFilesInvalid. Later, files that do not fit
 * together (one was written before the other) change nothing: they are looked at again. Connections that are open keep their certificate.
 * @param lookMs how often the files are read, ms
 */
export function followTlsFiles(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  log: Logger,
  lookMs: number = LOOK_MS,
): Component {
  let loop: Loop | null = null;
  let current: TlsPair | null = null;
  let isFailing = false;
  const load = async () => {
    const pair = await readPair(files);
    isFailing = false;
    if (current?.cert.equals(pair.cert) && current.key.equals(pair.key)) return;
    server.setSecureContext({ ...pair, ciphers: CIPHERS, honorCipherOrder: true });
    if (current !== null) log.info('certificate loaded anew', { file: files.cert });
    current = pair;
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

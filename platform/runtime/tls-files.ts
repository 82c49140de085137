// Certificate and key of a TLS listener, read from files and read again when they change: a renewed certificate needs no restart.
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { variableOf } from '../contract/settings.ts';
import { AppError, messageOf } from './errors.ts';
import type { Component } from './lifecycle.ts';
import type { Logger } from './log.ts';
import { type Loop, repeat } from './waits.ts';

/** PEM files: certificate chain and private key. */
export type TlsFiles = { cert: string; key: string };
/** What the files hold, for tls.createServer and setSecureContext. */
export type TlsPair = { cert: Buffer; key: Buffer };

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

export interface TlsFilesReader extends Component {
  /** As last read; null before start(). */
  context(): TlsPair | null;
}

/**
 * Keeps what the files hold. start() reads them for the first time, and throws TlsFilesInvalid. Later, files that do not fit together (one was
 * written before the other) change nothing: they are looked at again.
 * @param onChange called with the first pair, before start() is over, and with each new one; connections that are open keep theirs
 * @param lookMs how often the files are read, ms
 */
export function createTlsFiles(
  files: TlsFiles,
  log: Logger,
  onChange: (pair: TlsPair) => void,
  lookMs: number = LOOK_MS,
): TlsFilesReader {
  let loop: Loop | null = null;
  let current: TlsPair | null = null;
  let isFailing = false;
  const load = async () => {
    const pair = await readPair(files);
    isFailing = false;
    if (current?.cert.equals(pair.cert) && current.key.equals(pair.key)) return;
    if (current !== null) log.info('certificate loaded anew', { file: files.cert });
    current = pair;
    onChange(pair);
  };
  return {
    context: () => current,
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

// What the bench asks of a server under test, and what every server gets.
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { connect } from 'node:tls';
import type { CertificateFiles } from '../../test/support/certificate.ts';

/** HTTP/1.1, HTTP/1.1 over TLS 1.3, HTTP/2 over TLS 1.3. */
export const PROTOCOLS = ['plain', 'tls', 'h2'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type Surroundings = {
  /** Empty, on tmpfs, this server's own; removed after it. */
  folder: string;
  /** The cells' objects as files below, named as their addresses. */
  www: string;
  origins: readonly string[];
  certificate: CertificateFiles;
  /** Most bytes of its store. */
  cacheBytes: number;
  /** Further settings of our edge. */
  env: Record<string, string>;
};

export type RunningPeer = {
  /** `http://127.0.0.1:port`, `https://127.0.0.1:port`. */
  bases: Partial<Record<Protocol, string>>;
  pids(): number[];
  /** How it was started; several programs on several lines. */
  command: string;
  stop(): Promise<void>;
};

export interface Peer {
  name: string;
  /** A cache stands before origins and runs the workloads too; a ceiling only shows what the machine can do. */
  isCache: boolean;
  speaks: readonly Protocol[];
  /** null: not installed. */
  version(): string | null;
  /** What to install where it is missing. */
  wants: string;
  start(surroundings: Surroundings): Promise<RunningPeer>;
}

/** Fills `{{name}}` of a template. @throws Error for a name without a value */
export const filled = (template: string, values: Record<string, string | number>): string =>
  template.replace(/\{\{(\w+)\}\}/g, (_all, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the template wants ${name}`);
    return String(value);
  });

/**
 * Writes bench/edge/peers/{template}, filled, into a folder.
 * @returns its path there
 */
export async function writeConfiguration(
  template: string,
  path: string,
  values: Record<string, string | number>,
): Promise<string> {
  await writeFile(path, filled(await readFile(resolve('bench/edge/peers', template), 'utf8'), values));
  return path;
}

/** Addresses of a server with a plain and a TLS port, which speaks HTTP/2 as well. */
export const basesOf = (port: number, tlsPort: number): RunningPeer['bases'] => ({
  plain: `http://127.0.0.1:${port}`,
  tls: `https://127.0.0.1:${tlsPort}`,
  h2: `https://127.0.0.1:${tlsPort}`,
});

/** Whether something answers at an address, with whatever status, and a TLS handshake succeeds on a port where one is given. */
export const answers = (url: string, tlsPort?: number) => async (): Promise<boolean> => {
  const { status } = await fetch(url, { signal: AbortSignal.timeout(1_000) });
  return status > 0 && (tlsPort === undefined || shakesHands(tlsPort));
};

/** Whether a TLS handshake succeeds on a port of this machine. */
export const shakesHands = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, timeout: 1_000 });
    const end = (isGood: boolean) => {
      socket.destroy();
      done(isGood);
    };
    socket.once('secureConnect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });

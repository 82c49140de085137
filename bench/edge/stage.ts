// The stage of one run: certificate, files, stand-in origins, and a server under test that is started for each measurement and cleared away after it.

import { existsSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertificateFiles, makeCertificate } from '../../test/support/certificate.ts';
import type { Peer, RunningPeer } from './peer.ts';
import { type Asked, HEAD_START_MS, type StandIn, startStandIn, sumCounts } from './stand-in.ts';

const SHM = '/dev/shm';
const DEFAULT_CACHE_BYTES = 512 * 1024 ** 2;

export type StageOptions = {
  origins: number;
  /** Further settings of our edge. */
  env: Record<string, string>;
};

export class Stage {
  readonly folder: string;
  readonly zeroMs: number;
  readonly origins: StandIn[];
  /** How each peer was started last; `{server}` and `{stage}` are its own folder and everybody's. */
  readonly commands = new Map<string, string>();
  readonly #certificate: CertificateFiles;
  readonly #env: Record<string, string>;
  #count = 0;
  /** Memory is what tmpfs takes: it goes when the bench is ended by a signal, too. */
  readonly #sweep = (): void => rmSync(this.folder, { recursive: true, force: true });

  private constructor(
    folder: string,
    origins: StandIn[],
    zeroMs: number,
    certificate: CertificateFiles,
    env: Record<string, string>,
  ) {
    this.folder = folder;
    this.origins = origins;
    this.zeroMs = zeroMs;
    this.#certificate = certificate;
    this.#env = env;
    process.on('exit', this.#sweep);
  }

  static async open({ origins, env }: StageOptions): Promise<Stage> {
    const folder = await mkdtemp(join(existsSync(SHM) ? SHM : tmpdir(), 'headwater-bench-'));
    const zeroMs = Date.now() - HEAD_START_MS;
    await mkdir(join(folder, 'www'));
    const certificate = await makeCertificate(folder, 'bench');
    const started: StandIn[] = [];
    try {
      for (let index = 0; index < origins; index += 1) started.push(await startStandIn(zeroMs));
    } catch (thrown) {
      for (const origin of started) await origin.stop();
      throw thrown;
    }
    return new Stage(folder, started, zeroMs, certificate, env);
  }

  /** Files of the cells' objects, for servers of files. */
  get www(): string {
    return join(this.folder, 'www');
  }

  /** Runs `work` with a freshly started server whose store is empty. */
  async with<T>(
    peer: Peer,
    { cacheBytes = DEFAULT_CACHE_BYTES }: { cacheBytes?: number },
    work: (running: RunningPeer) => Promise<T>,
  ): Promise<T> {
    this.#count += 1;
    const folder = join(this.folder, `${peer.name}-${this.#count}`);
    await mkdir(folder);
    try {
      const running = await peer.start({
        folder,
        www: this.www,
        origins: this.origins.map((origin) => origin.url),
        certificate: this.#certificate,
        cacheBytes,
        env: this.#env,
      });
      this.commands.set(peer.name, this.#plain(running.command, folder));
      try {
        return await work(running);
      } finally {
        await running.stop();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** A command as anybody could type it: no place of this machine. */
  #plain(command: string, folder: string): string {
    return command
      .replaceAll(folder, '{server}')
      .replaceAll(this.folder, '{stage}')
      .replaceAll(`${process.cwd()}/`, '')
      .replaceAll(process.execPath, 'node');
  }

  /** What the origins were asked since the last reading. */
  async asked(): Promise<Asked> {
    return sumCounts(await Promise.all(this.origins.map((origin) => origin.counts())));
  }

  async close(): Promise<void> {
    for (const origin of this.origins) await origin.stop();
    process.off('exit', this.#sweep);
    await rm(this.folder, { recursive: true, force: true });
  }
}

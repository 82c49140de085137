// Scratch folders of on-demand jobs below DATA_DIR/scratch: one per process, one per job inside it, removed whatever happens.
import { mkdir, readdir, rm, stat, statfs, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { NodeId } from '../platform/contract/ids.ts';
import { codeOf } from '../platform/runtime/errors.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import type { Logger } from '../platform/runtime/log.ts';
import { type Loop, repeat } from '../platform/runtime/waits.ts';
import { ScratchFull } from './errors.ts';

/** Folders of one job: programs may see `files`, never `scripts`. */
export type JobFolder = { root: string; files: string; scripts: string };

export interface Scratch extends Component {
  /** Folder of this process. */
  readonly path: string;
  /** New empty folder. @throws ScratchFull when the disk has less room than `neededBytes` and the reserve */
  open(name: string, neededBytes: number): Promise<JobFolder>;
  remove(folder: JobFolder): Promise<void>;
}

/** A folder of another machine, or of an unknown one, is left over after this. Unit: ms. */
const ABANDONED_MS = 10 * 60_000;
const TOUCH_MS = 60_000;

/** `{host}--{pid}--{node}`: on one host a dead process id tells a left-over folder at once. */
export const processFolder = (pid: number, node: NodeId): string =>
  `${hostname().replace(/[^A-Za-z0-9.-]/g, '')}--${pid}--${node}`;

/** Folders of this process in use. */
const inUse = new Set<string>();

/**
 * Whether a scratch folder belongs to a process that is gone.
 * @param own folders of this process, one or more
 * @param isAlive asks for a process id on this host
 */
export function isLeftOver(
  name: string,
  own: ReadonlySet<string>,
  ageMs: number,
  isAlive: (pid: number) => boolean,
): boolean {
  if (own.has(name)) return false;
  const [host, pid] = name.split('--');
  const [ownHost, ownPid] = [...own][0]?.split('--') ?? [];
  // The same process id on the same host cannot be two processes: it is this one's, from its life before.
  if (host === ownHost && pid !== undefined) return pid === ownPid || !isAlive(Number(pid));
  return ageMs > ABANDONED_MS;
}

/** Whether a process id of this host is in use. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return codeOf(thrown) === 'EPERM';
  }
}

/**
 * @param dataDir DATA_DIR
 * @param reserveBytes free space that is kept, bytes
 */
export function createScratch(dataDir: string, reserveBytes: number, node: NodeId, log: Logger): Scratch {
  const base = resolve(dataDir, 'scratch');
  const own = processFolder(process.pid, node);
  const path = join(base, own);
  let touching: Loop | null = null;
  const sweep = async () => {
    for (const name of await readdir(base)) {
      const facts = await stat(join(base, name)).catch(() => null);
      if (facts === null || !isLeftOver(name, inUse, Date.now() - facts.mtimeMs, isProcessAlive)) continue;
      await rm(join(base, name), { recursive: true, force: true });
      log.info('left-over scratch folder removed', { folder: name });
    }
  };
  return {
    path,
    async start() {
      inUse.add(own);
      await mkdir(path, { recursive: true, mode: 0o700 });
      const step = async () => {
        const now = new Date();
        await utimes(path, now, now);
        await sweep();
      };
      await step();
      touching = repeat(TOUCH_MS, step, (thrown) => log.warn('scratch folder not swept', { err: thrown }));
    },
    async open(name, neededBytes) {
      const disk = await statfs(path);
      const freeBytes = disk.bavail * disk.bsize;
      if (freeBytes < neededBytes + reserveBytes) throw new ScratchFull(neededBytes + reserveBytes, freeBytes);
      const root = join(path, name);
      await rm(root, { recursive: true, force: true });
      const folder = { root, files: join(root, 'files'), scripts: join(root, 'scripts') };
      await mkdir(folder.files, { recursive: true, mode: 0o700 });
      await mkdir(folder.scripts, { recursive: true, mode: 0o700 });
      return folder;
    },
    remove: (folder) => rm(folder.root, { recursive: true, force: true }),
    async close() {
      await touching?.close();
      touching = null;
      await rm(path, { recursive: true, force: true });
      inUse.delete(own);
    },
  };
}

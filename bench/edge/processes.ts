// Programs of the bench, each on the core it belongs to, with all their descendants: none is left behind.
import { execFileSync, spawnSync } from 'node:child_process';
import { type ServerProcess, startProcess } from '../../test/support/server-process.ts';
import { treeOf } from './cpu-time.ts';

/** The server under test has one core for itself; clients, origins and this process share the other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;

const roots = new Set<number>();
// Before the parents are killed, or their children could no longer be found.
process.prependListener('exit', () => {
  for (const root of roots) signalTree(root, 'SIGKILL');
});

function signalTree(root: number, signal: NodeJS.Signals): void {
  for (const pid of treeOf(root)) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone already.
    }
  }
}

export type Pinned = {
  /** The program and its descendants now. */
  pids(): number[];
  /** How it was started. */
  command: string;
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
};

/**
 * Starts a program on one core and waits until it answers.
 * @param answers tried each 50 ms for at most 20 s
 * @throws Error with the program's last words
 */
export async function startPinned(
  core: number,
  program: string,
  args: string[],
  options: { cwd: string; env?: Record<string, string> },
  answers: () => Promise<boolean>,
): Promise<Pinned> {
  const all = ['-c', String(core), program, ...args];
  const child: ServerProcess = await startProcess('taskset', all, options, answers);
  roots.add(child.pid);
  const ended = async (end: () => Promise<void>): Promise<void> => {
    // Descendants that outlive their parent would measure on.
    const tree = treeOf(child.pid);
    await end();
    roots.delete(child.pid);
    for (const pid of tree.slice(1)) signalTree(pid, 'SIGKILL');
  };
  const settings = Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value} `);
  return {
    pids: () => treeOf(child.pid),
    command: `${settings.join('')}taskset ${all.join(' ')}`,
    stop: () => ended(() => child.stop()),
    kill: () => ended(() => child.kill()),
  };
}

/** Moves this process, all its threads and what it will start to the clients' core. */
export function moveToClientCore(): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(CLIENT_CORE), String(process.pid)], { stdio: 'ignore' });
}

/** What a program says of its version, on either stream; null: it is not installed. */
export function versionOf(program: string, args: string[], pattern: RegExp): string | null {
  const said = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 });
  return said.error === undefined ? (pattern.exec(said.stdout + said.stderr)?.[1] ?? 'unknown') : null;
}

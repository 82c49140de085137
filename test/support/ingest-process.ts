// The ingest role as a process of its own, for faults that must not reach it: its id, its memory, its death.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { NodeId } from '../../platform/contract/ids.ts';
import type { FromRole } from '../../platform/runtime/lifecycle.ts';
import { within } from '../../platform/runtime/waits.ts';
import { buildScript } from './build-script.ts';
import { INTERNAL_SECRET } from './ingest-service.ts';
import { atTestEnd } from './test-end.ts';

const alive = new Set<ChildProcess>();
await atTestEnd(() => {
  for (const child of alive) child.kill('SIGKILL');
});

export type IngestProcess = {
  node: NodeId;
  rtmpPort: number;
  url: string;
  privateUrl: string;
  isRunning(): boolean;
  /** Resident memory. Unit: bytes. */
  residentBytes(): Promise<number>;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
};

/** Builds the role into one script, once per test file. */
export const buildIngest = (): Promise<string> => buildScript('ingest/main.ts');

/**
 * Starts the role and waits until it listens.
 * @param script of buildIngest()
 * @param settings HEADWATER_* and REDIS_URL
 */
export async function startIngestProcess(script: string, settings: Record<string, string>): Promise<IngestProcess> {
  const child = fork(script, {
    env: {
      ...process.env,
      HEADWATER_INTERNAL_SECRET: INTERNAL_SECRET,
      HEADWATER_BIND: '127.0.0.1',
      HEADWATER_RTMP_PORT: '0',
      ...settings,
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  alive.add(child);
  const gone = once(child, 'exit').then(() => void alive.delete(child));
  const [message] = (await within(once(child, 'message'), 20_000, 'the start of the ingest')) as [FromRole];
  if (message.type === 'failed') throw new Error(message.message);
  const { addresses, node } = message;
  return {
    node: node as NodeId,
    rtmpPort: Number(/:(\d+)\/live$/.exec(addresses.public_url ?? '')?.[1]),
    url: addresses.url,
    privateUrl: addresses.private_url,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    async residentBytes() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
    },
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

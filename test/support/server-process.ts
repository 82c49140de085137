// A server program under a test's hand: started, waited for, killed, and never left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { atTestEnd } from './test-end.ts';

const alive = new Set<ChildProcess>();
await atTestEnd(() => {
  for (const child of alive) child.kill('SIGKILL');
});

export type ServerProcess = {
  readonly pid: number;
  /** Ends it in peace, after 5 s by force; resolves when it is gone. */
  stop(): Promise<void>;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
};

/**
 * Starts a program and waits until it answers.
 * @param answers tried each 50 ms for at most 20 s
 * @throws Error with the program's last output
 */
export async function startProcess(
  program: string,
  args: string[],
  options: { cwd: string; env?: Record<string, string> },
  answers: () => Promise<boolean>,
): Promise<ServerProcess> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  alive.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = `${output}${chunk.toString()}`.slice(-4_000);
    });
  }
  const gone = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  }).then(() => void alive.delete(child));
  const isGone = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  for (const deadline = Date.now() + 20_000; !(await answers().catch(() => false)); ) {
    if (isGone() || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${program} did not start: ${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    pid: child.pid ?? 0,
    async stop() {
      if (isGone()) return;
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await gone;
      clearTimeout(force);
    },
    async kill() {
      if (isGone()) return;
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Runs a script file in another Node process and collects what it prints. @throws Error when it fails or takes over `limitMs` */
export async function runNode(script: string, args: string[], limitMs = 60_000): Promise<string> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  alive.add(child);
  let output = '';
  let faults = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    faults += chunk.toString();
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
  try {
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${script} ended with ${String(code)}: ${faults.slice(-2_000)}`);
    return output;
  } finally {
    clearTimeout(limit);
    alive.delete(child);
  }
}

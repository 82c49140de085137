// DATA_DIR/run/platform.json: what runs here now, for the command line, the demo and the tests. Mode 0600: it holds the private Redis address.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../platform/runtime/errors.ts';

const RunningProcess = z.object({
  /** `origin-1`, `transcoder-2`, `redis`. */
  name: z.string(),
  role: z.string(),
  pid: z.number().int(),
  restarts: z.number().int(),
  url: z.string().nullable(),
  public_url: z.string().nullable(),
  private_url: z.string().nullable(),
});
export type RunningProcess = z.infer<typeof RunningProcess>;

const RunState = z.object({
  pid: z.number().int(),
  started_at: z.number(),
  store: z.string(),
  api_url: z.string(),
  rtmp_url: z.string(),
  edge_urls: z.array(z.string()),
  redis_url: z.string(),
  processes: z.array(RunningProcess),
});
export type RunState = z.infer<typeof RunState>;

const pathOf = (dataDir: string): string => join(dataDir, 'run', 'platform.json');

export async function writeRunState(dataDir: string, state: RunState): Promise<void> {
  await mkdir(join(dataDir, 'run'), { recursive: true, mode: 0o700 });
  const path = pathOf(dataDir);
  await writeFile(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export const removeRunState = (dataDir: string): Promise<void> => rm(pathOf(dataDir), { force: true });

/** What runs on this data folder, or null: no file, or its supervisor is gone. */
export async function readRunState(dataDir: string): Promise<RunState | null> {
  try {
    const state = RunState.parse(JSON.parse(await readFile(pathOf(dataDir), 'utf8')));
    process.kill(state.pid, 0);
    return state;
  } catch (thrown) {
    if (codeOf(thrown) === 'EPERM') throw thrown;
    return null;
  }
}

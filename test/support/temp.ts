// A folder of its own for each test, gone when its test file ends.
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atTestEnd } from './test-end.ts';

const made = new Set<string>();
await atTestEnd(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  made.clear();
});

/**
 * A new empty folder; removed with all it holds when the test file ends.
 * @param name part of its name, for people who look
 */
export async function tempDir(name: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), `headwater-${name}-`));
  made.add(path);
  return path;
}

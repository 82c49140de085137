// A folder of its own for each test, gone when the test process ends.
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set<string>();
let isHooked = false;

/**
 * A new empty folder; removed with all it holds when this process exits.
 * @param name part of its name, for people who look
 */
export async function tempDir(name: string): Promise<string> {
  if (!isHooked) {
    isHooked = true;
    process.on('exit', () => {
      for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 3 });
    });
  }
  const path = await mkdtemp(join(tmpdir(), `headwater-${name}-`));
  made.add(path);
  return path;
}

// Programs that tests need and a machine may lack: without one a test is skipped loudly, and under CI=1 it fails.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const said = new Set<string>();

/** Whether `program` can be run with these arguments. */
export async function canRun(program: string, args: string[]): Promise<boolean> {
  try {
    await run(program, args, { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether a part is there. Missing: says once how to get it and answers false, for `describe.skipIf(!found)`.
 * @param name as people know it
 * @param check answers whether it works
 * @param how to get it, one sentence
 * @throws Error under CI=1, where nothing may be skipped
 */
export async function requirePart(
  name: string,
  check: () => boolean | Promise<boolean>,
  how = 'run `npm test` once: its set-up fetches what it can',
): Promise<boolean> {
  if (await check()) return true;
  const message = `${name} is missing: ${how}`;
  if (process.env['CI'] !== undefined && process.env['CI'] !== '' && process.env['CI'] !== '0')
    throw new Error(message);
  if (!said.has(name)) {
    said.add(name);
    process.stderr.write(`\n!!! SKIPPED: tests that need ${name}. ${message}\n\n`);
  }
  return false;
}

// What every bench says of the ground it ran on, and how it prints and keeps its figures.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

/** Versions by program, and the machine. */
export function ground(): { machine: string; versions: Record<string, string> } {
  const cpu = cpus();
  const first = (program: string, args: string[], pattern: RegExp): string => {
    try {
      return (
        pattern.exec(execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }))?.[1] ?? '?'
      );
    } catch {
      return 'missing';
    }
  };
  const packages = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const hls = JSON.parse(readFileSync('node_modules/hls.js/package.json', 'utf8')) as { version: string };
  return {
    machine: `${cpu.length} cores of ${cpu[0]?.model.trim() ?? '?'}, ${Math.round(totalmem() / 1024 ** 3)} GiB`,
    versions: {
      headwater: packages.version,
      node: process.version,
      ffmpeg: first('ffmpeg', ['-version'], /version (\S+)/),
      chromium: first('chromium', ['--version', '--no-sandbox'], /([\d.]{5,})/),
      'hls.js': hls.version,
    },
  };
}

/** Nearest-rank percentile. @param share 0..1 */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}

/** Writes bench/results/{name}.json. */
export async function keepResult(name: string, result: unknown): Promise<string> {
  const folder = join('bench', 'results');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.json`);
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}

// Turns one TypeScript file into a script that plain Node runs, so that tests can race separate processes.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { tempDir } from './temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @param source path from the root of the repository
 * @returns path of the built script, which needs nothing else
 */
export async function buildScript(source: string): Promise<string> {
  const outDir = await tempDir('script');
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: {
      ssr: source,
      outDir,
      target: 'node20',
      emptyOutDir: false,
      rollupOptions: { output: { entryFileNames: 'script.mjs' } },
    },
    ssr: { noExternal: true },
  });
  return join(outDir, 'script.mjs');
}

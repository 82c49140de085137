// Builds dist/: services by tsc, the two browser pages by vite.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

const run = (args) => {
  const result = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (result.status !== 0) process.exit(result.status ?? 1);
};
rmSync('dist', { recursive: true, force: true });
run(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
run(['node_modules/vite/bin/vite.js', 'build', '-c', 'player/vite.config.ts', '--logLevel', 'warn']);
run(['node_modules/vite/bin/vite.js', 'build', '-c', 'dashboard/vite.config.ts', '--logLevel', 'warn']);

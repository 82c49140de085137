#!/usr/bin/env node
// The command line `npx headwater ...`: what `npm start` runs after set-up.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = new URL('../dist/ops/cli.js', import.meta.url);
if (existsSync(fileURLToPath(built))) {
  const { runCommandLine } = await import(built.href);
  await runCommandLine(process.argv.slice(2));
} else {
  process.stderr.write('headwater is not built yet: run `npm start` once, or `npm ci && npm run build`\n');
  process.exit(1);
}

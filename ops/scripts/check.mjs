// `npm run check`: format, lint, walls, loops, types, unit tests. Every step runs; the exit code tells whether all passed.
import { spawnSync } from 'node:child_process';

const steps = [
  ['biome', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']],
  ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
  ['types of player', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'player']],
  ['types of dashboard', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'dashboard']],
  ['unit tests', ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit']],
];
const failed = steps.filter(([name, args]) => {
  process.stdout.write(`\n== ${name}\n`);
  return spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0;
});
if (failed.length > 0) process.stderr.write(`\nfailed: ${failed.map(([name]) => name).join(', ')}\n`);
process.exit(failed.length > 0 ? 1 : 0);

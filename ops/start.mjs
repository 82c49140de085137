// What `npm start`, `npm run demo` and `npm test` run: set-up on a fresh machine, then the command itself.
// Parses on any Node >= 14 and uses built-ins alone, so that an old Node gets a clear sentence and not a syntax error.
import { spawn } from 'node:child_process';
import { buildIfStale, installPackages, installTools, requireNode, say } from './setup.mjs';

const command = process.argv[2] || 'up';
const isTest = command === 'test';

requireNode();
installTools(isTest);
installPackages();
buildIfStale(process.argv.includes('--build'));

if (isTest) {
  const child = spawn(process.execPath, ['ops/scripts/test.mjs'], { stdio: 'inherit' });
  child.on('exit', (code) => process.exit(code === null ? 1 : code));
} else {
  say('set-up is complete');
  import('./headwater.mjs').catch((error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
    process.exit(1);
  });
}

// `npm run bench:NAME`: runs bench/NAME.ts from its source. Options go through; `--json` makes the last line one JSON object.
import { resolve } from 'node:path';
import { runnerImport } from 'vite';

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !/^[a-z-]+(\/[a-z-]+)?$/.test(name)) {
  process.stderr.write('usage: node ops/scripts/bench.mjs NAME [options]\n');
  process.exit(2);
}
const { module } = await runnerImport(resolve('bench', `${name}.ts`), { configFile: false, logLevel: 'error' });
await module.main(args);
process.exit(process.exitCode ?? 0);

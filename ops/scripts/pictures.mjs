// `npm run pictures`: walks the first ten minutes in Chromium and keeps its screenshots in docs/images.
import { spawnSync } from 'node:child_process';

const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'e2e', 'test/e2e/first-ten-minutes.test.ts'];
const result = spawnSync(process.execPath, args, {
  stdio: 'inherit',
  env: { ...process.env, PICTURES: 'docs/images' },
});
process.exit(result.status ?? 1);

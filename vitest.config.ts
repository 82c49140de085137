// Test projects by cost: unit beside the source, the rest under test/. Production code is run from source here; end-to-end tests start the built processes.
import { defineConfig } from 'vitest/config';

const exclude = ['**/node_modules/**', '**/dist/**', 'data/**'];
const project = (name: string, include: string[], timeoutMs: number, isSerial: boolean) => ({
  test: {
    name,
    include,
    exclude,
    testTimeout: timeoutMs,
    hookTimeout: Math.max(timeoutMs, 60_000),
    fileParallelism: !isSerial,
    pool: 'forks' as const,
  },
});

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project(
        'unit',
        ['{ingest,transcoder,origin,edge-cache,api,player,dashboard,platform,ops}/**/*.test.ts'],
        20_000,
        false,
      ),
      project('integration', ['test/integration/**/*.test.ts'], 60_000, true),
      project('e2e', ['test/e2e/**/*.test.ts'], 300_000, true),
      project('fault', ['test/fault/**/*.test.ts'], 300_000, true),
      project('long', ['test/long/**/*.test.ts'], 3_600_000, true),
    ],
  },
});

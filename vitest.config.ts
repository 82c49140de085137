// Test projects by cost: unit beside the source, the rest under test/. Production code is run from source here; end-to-end tests start the built processes.
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const exclude = ['**/node_modules/**', '**/dist/**', 'data/**'];
/** Files that hold the platform to times of its own: they have the machine to themselves. */
const timed = [
  'test/integration/live-worker-{takeover,redis,latency,load}.test.ts',
  'test/integration/live-many.test.ts',
  'test/integration/ingest-{killed,publishers}.test.ts',
  'test/integration/origin-low-latency.test.ts',
  'test/integration/api-{clips-play,recordings}.test.ts',
  'test/integration/{registry,leases,timeline,redis-sentinel,edge-live}.test.ts',
];
/** Full runs of the platform that hold nobody to a time: they run beside others. */
const patient = ['test/fault/upload-steps-killed.test.ts', 'test/e2e/{upload-watch,live-playlists,compose}.test.ts'];
/** These take minutes: begun last, they would keep one core waiting for them. */
const longest = ['upload-steps-killed', 'upload-watch', 'player-watch', 'live-playlists'].map(
  (name) => `/${name}.test.ts`,
);
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => longest.some((path) => moduleId.endsWith(path));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
const project = (name: string, include: string[], timeoutMs: number, isSerial: boolean, without: string[] = []) => ({
  test: {
    name,
    include,
    exclude: [...exclude, ...without],
    testTimeout: timeoutMs,
    hookTimeout: Math.max(timeoutMs, 60_000),
    fileParallelism: !isSerial,
    pool: 'forks' as const,
  },
});

export default defineConfig({
  test: {
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      project(
        'unit',
        ['{ingest,transcoder,origin,edge-cache,api,player,dashboard,platform,ops,bench}/**/*.test.ts'],
        20_000,
        false,
      ),
      project('integration', ['test/integration/**/*.test.ts', ...patient], 120_000, false, timed),
      project('timing', timed, 60_000, true),
      project('e2e', ['test/e2e/**/*.test.ts'], 300_000, true, patient),
      project('fault', ['test/fault/**/*.test.ts'], 300_000, true, patient),
      project('long', ['test/long/**/*.test.ts'], 3_600_000, true),
    ],
  },
});

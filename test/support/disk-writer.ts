// A process that fills a disk cache without end, made to be killed while it writes. Argument: the folder.
import { setImmediate as turn } from 'node:timers/promises';
import { createDiskFolder } from '../../edge-cache/disk-folder.ts';
import { DiskStore } from '../../edge-cache/disk-store.ts';
import { MemoryStore } from '../../edge-cache/memory-store.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { createMetrics } from '../../platform/runtime/metrics.ts';
import { MIB, writtenBody, writtenKey } from './disk-written.ts';

const [folder = ''] = process.argv.slice(2);
const store = new DiskStore({
  files: createDiskFolder(folder),
  limitBytes: 256 * MIB,
  room: new MemoryStore(128 * MIB),
  clocks: { now: () => performance.now(), wallMs: () => Date.now() },
  metrics: createMetrics(false),
  log: silentLogger,
  failures: { warn: () => undefined },
});
await store.start();
for (let i = 0; ; i += 1) {
  const arrivedMs = performance.now();
  const untilMs = arrivedMs + 86_400_000;
  const times = { arrivedMs, freshUntilMs: untilMs, staleUntilMs: untilMs };
  store.offer(writtenKey(i), { headers: {}, etag: null, body: writtenBody(i), ...times });
  await turn();
}

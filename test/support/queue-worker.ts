// A worker process for queue tests: takes `vod` jobs, says so of each, and never ends one.
// Arguments: Redis URL, jobs at a time (default 1).
import { createQueue } from '../../platform/adapters/queue.ts';
import { silentLogger } from '../../platform/runtime/log.ts';

const queue = createQueue(process.argv[2] ?? '', ['vod'], silentLogger);
queue.process('vod', Number(process.argv[3] ?? 1), async (_payload, context) => {
  process.stdout.write(`took ${context.id}\n`);
  await new Promise(() => undefined);
});
await queue.start();

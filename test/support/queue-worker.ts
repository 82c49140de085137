// A worker process for queue tests: takes one `vod` job, says so, and never ends it.
// Arguments: Redis URL.
import { createQueue } from '../../platform/adapters/queue.ts';
import { silentLogger } from '../../platform/runtime/log.ts';

const queue = createQueue(process.argv[2] ?? '', ['vod'], silentLogger);
queue.process('vod', 1, async (_payload, context) => {
  process.stdout.write(`took ${context.id}\n`);
  await new Promise(() => undefined);
});
await queue.start();

// A live worker in a process of its own, to be killed or frozen. Argument: JSON {place: WorkerPlace, job: LiveJob}. Says `ended` when the
// job is over.
import { LiveJob } from '../../platform/contract/jobs.ts';
import { createLogger, silentLogger } from '../../platform/runtime/log.ts';
import { startWorker, type WorkerPlace } from './live-worker-parts.ts';

const { place, job, isLoud } = JSON.parse(process.argv[2] ?? '') as {
  place: WorkerPlace;
  job: unknown;
  isLoud: boolean;
};
const worker = await startWorker(place);
process.stdout.write(`started ${worker.node}\n`);
const log = isLoud ? createLogger('debug', { pid: process.pid }) : silentLogger;
await worker.worker.handle(LiveJob.parse(job), { signal: new AbortController().signal, log });
process.stdout.write('ended\n');
await worker.close();

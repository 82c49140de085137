// Starts one ingest node.
import { runService } from '../platform/runtime/lifecycle.ts';
import { pickIngestConfig } from './config.ts';
import { createIngest } from './service.ts';

await runService('ingest', pickIngestConfig, createIngest);

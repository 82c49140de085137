// The api role: REST, one-time upload addresses, status page, reconciler.
import { runService } from '../platform/runtime/lifecycle.ts';
import { pickApiConfig } from './config.ts';
import { createApi } from './service.ts';

await runService('api', pickApiConfig, createApi);

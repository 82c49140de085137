// Entry of the origin role: settings in, service out.
import { runService } from '../platform/runtime/lifecycle.ts';
import { pickOriginConfig } from './config.ts';
import { createOrigin } from './service.ts';

await runService('origin', pickOriginConfig, createOrigin);

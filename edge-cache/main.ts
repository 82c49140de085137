// Process entry of one edge.
import { runService } from '../platform/runtime/lifecycle.ts';
import { pickEdgeConfig } from './config.ts';
import { createEdge } from './service.ts';

await runService('edge', pickEdgeConfig, createEdge);

// Entry of the transcoder role.
import { runService } from '../platform/runtime/lifecycle.ts';
import { pickTranscoderConfig } from './config.ts';
import { createTranscoder } from './service.ts';

await runService('transcoder', pickTranscoderConfig, createTranscoder);

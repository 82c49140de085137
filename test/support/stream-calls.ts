// Calls of the live stream routes over parts in memory.
import request from 'supertest';
import type { StreamRecord } from '../../platform/contract/records.ts';
import { type ApiTestParts, AUTHORIZATION } from './api-parts.ts';

export type Verb = 'get' | 'post' | 'put' | 'patch' | 'delete';
export type Made = { id: string; stream_key: string; key: string; playback_ids: { id: string }[] };
export const call = (parts: ApiTestParts, verb: Verb, path: string) =>
  request(parts.app)[verb](path).set('authorization', AUTHORIZATION);
export const at = (stream: { id: string }, tail = '') => `/video/v1/live-streams/${stream.id}${tail}`;
export const make = async (parts: ApiTestParts, body: object = { title: 'Show', latency_mode: 'low' }) =>
  (await call(parts, 'post', '/video/v1/live-streams').send(body).expect(201)).body.data as Made;
export const recordOf = async (parts: ApiTestParts, stream: { id: string }): Promise<StreamRecord> => {
  const found = await parts.records.get('stream', stream.id);
  if (found === null) throw new Error('no such stream');
  return found.value;
};

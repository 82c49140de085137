// The worker's own route, behind the internal secret.
import express from 'express';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { headers } from '../platform/contract/routes.ts';
import { spoolKeyOf, workerRoutes } from './routes.ts';

const secret = 's'.repeat(32);
const app = express();
const state = {
  sandbox: 'bwrap',
  jobs: { vod: 1, live: 2 },
  concurrency: { vod: 1, live: 4 },
  live: { cost: 2, capacity: 4 },
};
workerRoutes(app, secret, () => state);

describe('GET /state', () => {
  it('answers other roles', async () => {
    const answer = await request(app).get('/state').set(headers.internal, secret);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(state);
    expect(answer.headers['cache-control']).toBe('no-store');
  });
  it.each([
    ['no secret', ''],
    ['a wrong secret', 'x'.repeat(32)],
  ])('refuses %s', async (_name, given) => {
    const answer = await request(app).get('/state').set(headers.internal, given);
    expect(answer.status).toBe(401);
    expect(answer.text).not.toContain('bwrap');
  });
});

describe('GET /spool/{key}', () => {
  const content = 'contentAAAAAAAAAAAAAAA';
  it.each([
    [`/spool/media/${content}/v360/0/init.mp4`, `media/${content}/v360/0/init.mp4`],
    [`/spool/media/${content}/a0/2/p7.3.writeraaaa.m4s`, `media/${content}/a0/2/p7.3.writeraaaa.m4s`],
    [`/spool/media/${content}/v360/0/s12.writeraaaa.m4s`, `media/${content}/v360/0/s12.writeraaaa.m4s`],
  ])('knows %s', (path, key) => {
    expect(spoolKeyOf(path)).toBe(key);
  });
  it.each([
    '/spool/',
    '/spool/records/stream/x',
    `/spool/index/${content}/0-0.json`,
    '/spool/media/../../../etc/passwd',
    `/spool/media/${content}/v360/0/../../s1.writeraaaa.m4s`,
    `/spool/media/${content}/v360/0/s1.WRITER.m4s`,
    `/spool/media/${content}/v360/index.m3u8`,
  ])('takes %s for nothing', (path) => {
    expect(spoolKeyOf(path)).toBeNull();
  });
});

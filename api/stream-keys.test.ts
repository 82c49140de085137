// Stream keys over the routes: shown once, reset, rotated with a grace time, expired.
import { describe, expect, test } from 'vitest';
import { type ApiTestParts, createApiParts } from '../test/support/api-parts.ts';
import { at, call, type Made, make, recordOf } from '../test/support/stream-calls.ts';
import { hashOf } from './uploads.ts';

const keyHashes = async (parts: ApiTestParts, stream: { id: string }) => {
  const { key_hash, backup_key_hash, old_keys } = await recordOf(parts, stream);
  return { primary: key_hash, backup: backup_key_hash, old: old_keys.map(({ hash, key }) => [hash, key]) };
};

describe('keys', () => {
  test('reset answers another key; all earlier primary keys are forgotten, the backup stays', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const backup = (await call(parts, 'post', at(stream, '/backup-stream-key'))).body.data as Made;
    await call(parts, 'post', at(stream, '/rotate-stream-key')).send({ key: 'primary', grace_s: 60 }).expect(200);
    const answer = await call(parts, 'post', at(stream, '/reset-stream-key'));
    const key = answer.body.data.stream_key;
    expect(key).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(await keyHashes(parts, stream)).toEqual({
      primary: hashOf(key),
      backup: hashOf(backup.stream_key),
      old: [],
    });
    expect(parts.events.slice(-2)).toEqual([{ type: 'stream-keys' }, { type: 'stream', id: stream.id }]);
  });

  test('the backup key is made, shown once, and made anew', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const first = (await call(parts, 'post', at(stream, '/backup-stream-key')).expect(200)).body.data as Made;
    expect(first).toMatchObject({ key: 'backup', has_backup_key: true });
    expect((await keyHashes(parts, stream)).backup).toBe(hashOf(first.stream_key));
    const second = (await call(parts, 'post', at(stream, '/backup-stream-key'))).body.data as Made;
    expect(second.stream_key).not.toBe(first.stream_key);
    expect(await keyHashes(parts, stream)).toMatchObject({ backup: hashOf(second.stream_key), old: [] });
    expect((await keyHashes(parts, stream)).primary).toBe(hashOf(stream.stream_key));
  });

  test('rotate keeps the old key until its time; nobody is cut off', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const before = Date.now();
    const answer = await call(parts, 'post', at(stream, '/rotate-stream-key')).send({ key: 'primary', grace_s: 60 });
    const { stream_key: key, old_keys: old } = answer.body.data;
    expect(await keyHashes(parts, stream)).toMatchObject({
      primary: hashOf(key),
      old: [[hashOf(stream.stream_key), 'primary']],
    });
    expect(old).toEqual([{ key: 'primary', until: expect.any(Number) }]);
    expect(old[0].until - before).toBeGreaterThanOrEqual(60_000);
    expect(old[0].until - before).toBeLessThan(70_000);
    expect(parts.events.at(-2)).toEqual({ type: 'stream-keys' });
    expect(parts.events).not.toContainEqual({ type: 'kick', id: stream.id });
  });

  test('rotate without grace keeps nothing; expired keys go', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    await parts.records.update('stream', stream.id, (s) => ({
      ...s,
      old_keys: [{ hash: 'gone', key: 'primary', until: Date.now() - 1 }],
    }));
    await call(parts, 'post', at(stream, '/rotate-stream-key')).send({ grace_s: 0 }).expect(200);
    expect((await keyHashes(parts, stream)).old).toEqual([]);
  });

  test('a backup key that is not there cannot be rotated; nor can there be any number of old ones', async () => {
    const parts = createApiParts();
    const stream = await make(parts);
    const none = await call(parts, 'post', at(stream, '/rotate-stream-key')).send({ key: 'backup' });
    expect([none.status, none.body.messages.join()]).toEqual([409, expect.stringContaining('no backup key')]);
    const rotate = () => call(parts, 'post', at(stream, '/rotate-stream-key')).send({ grace_s: 600 });
    for (let count = 0; count < 8; count += 1) await rotate().expect(200);
    const many = await rotate();
    expect([many.status, many.body.messages.join()]).toEqual([409, expect.stringContaining('8 rotated keys')]);
    await call(parts, 'post', at(stream, '/rotate-stream-key')).send({ grace_s: -1 }).expect(422);
  });
});

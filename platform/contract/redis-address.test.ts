import { describe, expect, it } from 'vitest';
import { parseRedisUrl, serverUrl, withoutSecret } from './redis-address.ts';
import { settings } from './settings.ts';

describe('REDIS_URL', () => {
  it('names one server', () => {
    expect(parseRedisUrl('redis://127.0.0.1:6379/0')).toEqual({ kind: 'server', url: 'redis://127.0.0.1:6379/0' });
    expect(parseRedisUrl('rediss://:secret@host')).toEqual({ kind: 'server', url: 'rediss://:secret@host' });
  });

  it('names Sentinels, the master, the password and the database', () => {
    const address = parseRedisUrl('redis+sentinel://:p%40ss@a:26379,b.example:26380/mymaster/2');
    expect(address).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 'a', port: 26379 },
        { host: 'b.example', port: 26380 },
      ],
      name: 'mymaster',
      username: '',
      password: 'p@ss',
      db: 2,
    });
    if (address?.kind === 'sentinel')
      expect(serverUrl(address, '10.0.0.1', 6379)).toBe('redis://:p%40ss@10.0.0.1:6379/2');
  });

  it('is refused when it is neither', () => {
    for (const text of [
      'http://a',
      'redis+sentinel://a/m',
      'redis+sentinel://a:1',
      'redis+sentinel://a:1,b/m',
      'redis+sentinel://secret@a:1/m',
      'redis+sentinel://:%@a:1/m',
      '',
    ]) {
      expect(parseRedisUrl(text), text).toBeNull();
      expect(settings.REDIS_URL.schema.safeParse(text).success, text).toBe(false);
    }
  });

  it('is logged without its password', () => {
    expect(withoutSecret('redis://u:p@h:1/0')).toBe('redis://***@h:1/0');
    expect(withoutSecret('redis+sentinel://:p@h:1/m')).toBe('redis+sentinel://***@h:1/m');
  });
});

// REDIS_URL in both of its forms: one server, or the Sentinels that know which server is the master.

export type RedisAddress =
  | { kind: 'server'; url: string }
  | {
      kind: 'sentinel';
      sentinels: { host: string; port: number }[];
      /** Name under which the Sentinels know the master. */
      name: string;
      /** Of the Redis servers themselves. */
      username: string;
      password: string;
      db: number;
    };

const SENTINEL = /^redis\+sentinel:\/\/(?:([^:@/]*):([^@/]*)@)?([^@/]+)\/([A-Za-z0-9._-]+)(?:\/(\d{1,3}))?$/;
const HOST_PORT = /^([A-Za-z0-9.-]+):(\d{1,5})$/;

/**
 * @param url `redis[s]://[[user]:password@]host[:port][/db]`, or `redis+sentinel://[user:password@]host:port[,host:port]/master-name[/db]`
 * @returns null when it is neither
 */
export function parseRedisUrl(url: string): RedisAddress | null {
  if (/^rediss?:\/\//.test(url)) return URL.canParse(url) ? { kind: 'server', url } : null;
  const match = SENTINEL.exec(url);
  if (!match) return null;
  const [, username = '', password = '', hosts = '', name = '', db = '0'] = match;
  const sentinels = hosts.split(',').map((text) => {
    const parts = HOST_PORT.exec(text);
    return parts ? { host: parts[1] ?? '', port: Number(parts[2]) } : null;
  });
  const known = sentinels.filter((sentinel) => sentinel !== null);
  if (known.length === 0 || known.length < sentinels.length) return null;
  try {
    const decoded = { username: decodeURIComponent(username), password: decodeURIComponent(password) };
    return { kind: 'sentinel', sentinels: known, name, ...decoded, db: Number(db) };
  } catch {
    return null;
  }
}

/** Address of one server behind Sentinels. */
export function serverUrl(address: Extract<RedisAddress, { kind: 'sentinel' }>, host: string, port: number): string {
  const { username, password, db } = address;
  const who = password === '' ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`;
  return `redis://${who}${host}:${port}/${db}`;
}

/** The address as logs may show it. */
export const withoutSecret = (url: string): string => url.replace(/:\/\/[^@/]*@/, '://***@');

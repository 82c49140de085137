// The links of the job queue, and the one file that names ioredis, which Bull works with. They differ from Bull's own in one thing: of the
// waits for a job only one at a time is with Redis. A worker that stands still (frozen, or cut off with its node) is still handed jobs as long
// as such a wait of it lasts, and nobody does them; Bull would leave as many waits there, one after the other, as the worker takes jobs.
import { Redis, type RedisOptions } from 'ioredis';

export type QueueClient = Redis;

/** In Bull's own words: it takes it for the end of waits that it broke off itself. */
const CLOSED = 'Connection is closed.';

/** A link as Bull's `createClient` gives it; whoever made it ends it. */
export function createQueueClient(type: 'client' | 'subscriber' | 'bclient', options: RedisOptions): QueueClient {
  const client = new Redis(options);
  if (type === 'bclient') oneAtATime(client);
  return client;
}

function oneAtATime(client: Redis): void {
  let turn: Promise<unknown> = Promise.resolve();
  let cuts = 0;
  client.on('close', () => {
    cuts += 1;
  });
  const wait = client.brpoplpush.bind(client);
  const next = (from: string, to: string, timeout: number | string): Promise<string | null> => {
    const asked = cuts;
    const answer = turn.then(() => {
      // A wait that is broken off breaks off those behind it: Bull asks again unless it takes no more jobs.
      if (asked !== cuts) throw new Error(CLOSED);
      return wait(from, to, timeout);
    });
    turn = answer.catch(() => undefined);
    return answer;
  };
  Object.assign(client, { brpoplpush: next });
}

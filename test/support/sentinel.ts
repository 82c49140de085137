// A Redis master with a replica and three Sentinels over them, all real, on free ports.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { redisCommand } from './redis.ts';
import { type ServerProcess, startProcess } from './server-process.ts';
import { tempDir } from './temp.ts';
import { waitUntil } from './wait-until.ts';

const MASTER = 'headwater';
/** Of every user of the servers; the Sentinels themselves ask for none. */
const PASSWORD = 'a-password-for-tests';
/** Users of their own, so that their links to one server can be cut while its clients keep theirs. */
const PEERS = ['sentinel', 'replica'] as const;
/** A master that is silent for this long is replaced. Unit: ms. */
const DOWN_AFTER_MS = 1_000;

export type SentinelWorld = {
  /** REDIS_URL of the whole. */
  url: string;
  /** Port of the server that the Sentinels name now. */
  master(): Promise<number>;
  /** Resolves when every server has this value: what is not yet copied is lost with the master. */
  isCopied(key: string, value: string): Promise<boolean>;
  command(port: number, ...args: string[]): Promise<string>;
  /** kill -9 of the master. @returns its port */
  killMaster(): Promise<number>;
  /** A network split: Sentinels and replica lose the master, its clients keep it. @returns how to end that */
  splitMaster(): Promise<() => Promise<void>>;
  /** The others fall silent for it and it for them: it stops answering anything but a new connection. @returns how to end that */
  freezeMaster(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
};

/** One command to a server. */
const serverCommand = (port: number, ...args: string[]): Promise<string> =>
  redisCommand(port, '--user', 'default', '--pass', PASSWORD, '--no-auth-warning', ...args);

async function startServer(dir: string, port: number, more: string[]): Promise<ServerProcess> {
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
  const fast = ['--repl-timeout', '3', '--repl-ping-replica-period', '1', '--repl-diskless-sync-delay', '0'];
  const users = PEERS.flatMap((user) => ['--user', user, 'on', `>${PASSWORD}`, '~*', '&*', '+@all']);
  const secret = ['--requirepass', PASSWORD, '--masteruser', 'replica', '--masterauth', PASSWORD];
  return startProcess('redis-server', [...args, ...fast, ...secret, ...users, ...more], { cwd: dir }, async () => {
    return (await serverCommand(port, 'PING')) === 'PONG';
  });
}

async function startSentinel(dir: string, port: number, master: number): Promise<ServerProcess> {
  const file = join(dir, `sentinel-${port}.conf`);
  await writeFile(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${dir}`,
      `sentinel monitor ${MASTER} 127.0.0.1 ${master} 2`,
      `sentinel auth-user ${MASTER} sentinel`,
      `sentinel auth-pass ${MASTER} ${PASSWORD}`,
      `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${MASTER} 5000`,
      '',
    ].join('\n'),
  );
  return startProcess(
    'redis-server',
    [file, '--sentinel'],
    { cwd: dir },
    async () => (await redisCommand(port, 'PING')) === 'PONG',
  );
}

/** Whether this Sentinel knows both others, and the replica as one that has copied the master. */
async function knowsAll(port: number): Promise<boolean> {
  const ask = async (what: 'MASTER' | 'REPLICAS') => {
    const lines = (await redisCommand(port, 'SENTINEL', what, MASTER)).split('\n');
    return (name: string) => lines[lines.indexOf(name) + 1];
  };
  const [master, replica] = [await ask('MASTER'), await ask('REPLICAS')];
  const isCopied = replica('flags') === 'slave' && replica('master-link-status') === 'ok';
  return master('num-slaves') === '1' && master('num-other-sentinels') === '2' && isCopied;
}

export async function startSentinelWorld(): Promise<SentinelWorld> {
  const dir = await tempDir('sentinel');
  const servers = new Map<number, ServerProcess>();
  const [first, second] = [await freePort(), await freePort()];
  servers.set(first, await startServer(dir, first, []));
  servers.set(second, await startServer(dir, second, ['--replicaof', '127.0.0.1', String(first)]));
  const sentinels: { port: number; process: ServerProcess }[] = [];
  for (let i = 0; i < 3; i += 1) {
    const port = await freePort();
    sentinels.push({ port, process: await startSentinel(dir, port, first) });
  }
  const ask = async () => {
    const answer = await redisCommand(sentinels[0]?.port ?? 0, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER);
    return Number(answer.split('\n')[1]);
  };
  // Whichever is elected must know a replica that it may promote; one that finds none tries again ten seconds later.
  for (const { port } of sentinels) await waitUntil(`Sentinel ${port} knows the others`, () => knowsAll(port), 30_000);
  return {
    url: `redis+sentinel://default:${PASSWORD}@${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER}/0`,
    master: ask,
    async isCopied(key, value) {
      const held = await Promise.all([...servers.keys()].map((port) => serverCommand(port, 'GET', key)));
      return held.every((one) => one === value);
    },
    command: serverCommand,
    async killMaster() {
      const port = await ask();
      await servers.get(port)?.kill();
      return port;
    },
    async splitMaster() {
      const port = await ask();
      for (const user of PEERS) {
        await serverCommand(port, 'ACL', 'SETUSER', user, 'off');
        await serverCommand(port, 'CLIENT', 'KILL', 'USER', user);
      }
      return async () => {
        for (const user of PEERS) await serverCommand(port, 'ACL', 'SETUSER', user, 'on');
      };
    },
    async freezeMaster() {
      const pid = servers.get(await ask())?.pid ?? 0;
      process.kill(pid, 'SIGSTOP');
      return async () => void process.kill(pid, 'SIGCONT');
    },
    async stop() {
      for (const { process: sentinel } of sentinels) await sentinel.kill();
      for (const server of servers.values()) await server.kill();
    },
  };
}

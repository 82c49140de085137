// The command line: up, demo, rebuild, token reset, doctor. With HEADWATER_ROLE, `up` runs that one role in this process.
import { resolve } from 'node:path';
import { openStorage } from '../platform/adapters/open-storage.ts';
import { createRecords } from '../platform/adapters/records.ts';
import { createRedis } from '../platform/adapters/redis.ts';
import { parseSettings, type Settings } from '../platform/contract/settings.ts';
import { messageOf, SettingsInvalid } from '../platform/runtime/errors.ts';
import { createLogger } from '../platform/runtime/log.ts';
import { runDemo } from './demo.ts';
import { runDoctor } from './doctor.ts';
import { type RunState, readRunState } from './run-state.ts';
import { loadSecrets, resetAdminToken } from './secrets.ts';
import { Supervisor } from './supervisor.ts';

const USAGE = `headwater up            start everything on this machine (HEADWATER_ROLE=origin: that role alone)
headwater demo          push a test picture and upload a clip into the running platform
headwater rebuild       rebuild the Redis index from the records in the store
headwater token reset   replace the admin token and print the new one
headwater doctor        check tools, ports, disk, store and Redis
`;

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Runs one command; exits with 0, 1 (failed), 2 (usage) or 78 (settings). */
export async function runCommandLine(argv: string[]): Promise<void> {
  const words = argv.filter((word) => word !== '--build').join(' ') || 'up';
  const commands: Record<string, (settings: Settings) => Promise<void>> = {
    up,
    demo: (settings) => runDemo(resolve(settings.DATA_DIR), print),
    rebuild,
    'token reset': resetToken,
    doctor: (settings) => runDoctor(settings, print),
  };
  const command = commands[words];
  if (!command) {
    process.stderr.write(USAGE);
    process.exit(2);
  }
  const parsed = parseSettings(process.env);
  if ('faults' in parsed) {
    process.stderr.write(`${new SettingsInvalid(parsed.faults).message}\n`);
    process.exit(78);
  }
  try {
    await command(parsed.settings);
  } catch (thrown) {
    process.stderr.write(`${messageOf(thrown)}\n`);
    process.exit(1);
  }
}

const FOLDERS = {
  api: 'api',
  ingest: 'ingest',
  transcoder: 'transcoder',
  origin: 'origin',
  edge: 'edge-cache',
} as const;

async function up(settings: Settings): Promise<void> {
  if (settings.ROLE !== undefined) {
    await import(new URL(`../${FOLDERS[settings.ROLE]}/main.js`, import.meta.url).href);
    return;
  }
  const supervisor = new Supervisor(settings, process.env, Boolean(process.env['REDIS_URL']), print);
  let signals = 0;
  const stop = async (): Promise<void> => {
    signals += 1;
    if (signals > 1) {
      supervisor.killAll();
      process.exit(1);
    }
    print('stopping (again: at once)');
    await supervisor.stop();
    print('stopped');
    process.exit(0);
  };
  const onSignal = () => {
    stop().catch((thrown) => {
      process.stderr.write(`${messageOf(thrown)}\n`);
      supervisor.killAll();
      process.exit(1);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  process.on('SIGUSR2', () => {
    supervisor.reloadToken().catch((thrown) => process.stderr.write(`${messageOf(thrown)}\n`));
  });
  try {
    const { state, adminToken, isNewToken } = await supervisor.start();
    print(banner(state, settings, isNewToken ? adminToken : null));
  } catch (thrown) {
    await supervisor.stop().catch(() => supervisor.killAll());
    throw thrown;
  }
}

function banner(state: RunState, settings: Settings, newToken: string | null): string {
  const token =
    newToken === null
      ? 'printed at the first start (npx headwater token reset makes a new one)'
      : `${newToken}   (shown once: keep it)`;
  return [
    '',
    'Headwater is running.',
    `  Watch         ${state.edge_urls.join('  ')}`,
    `  Status page   ${state.api_url}`,
    `  API           ${state.api_url}/video/v1`,
    `  RTMP server   ${state.rtmp_url}   (stream key: create a live stream on the status page)`,
    `  Store         ${state.store}`,
    `  Admin token   ${token}`,
    `  Data, logs    ${resolve(settings.DATA_DIR)}`,
    '  Ctrl-C stops everything.',
    '',
  ].join('\n');
}

async function rebuild(settings: Settings): Promise<void> {
  const dataDir = resolve(settings.DATA_DIR);
  const running = await readRunState(dataDir);
  const { secrets } = await loadSecrets(dataDir);
  const log = createLogger('warn', { service: 'rebuild' });
  const minio = running?.processes.find((item) => item.name === 'minio')
    ? /http:\/\/[\d.:]+/.exec(running.store)?.[0]
    : undefined;
  const storage = openStorage(
    minio
      ? {
          ...settings,
          STORAGE: 's3',
          S3_ENDPOINT: minio,
          S3_ACCESS_KEY: secrets.minio_user,
          S3_SECRET_KEY: secrets.minio_password,
        }
      : settings,
    log,
  );
  const redis = createRedis(running?.redis_url ?? settings.REDIS_URL, log);
  try {
    await redis.start();
    const { records } = await createRecords(storage, redis, log).rebuild();
    print(`index rebuilt from ${records} records`);
  } finally {
    await redis.close();
    await storage.close();
  }
}

async function resetToken(settings: Settings): Promise<void> {
  const dataDir = resolve(settings.DATA_DIR);
  const token = await resetAdminToken(dataDir);
  const running = await readRunState(dataDir);
  if (running) process.kill(running.pid, 'SIGUSR2');
  print(`new admin token: ${token}`);
  if (settings.ADMIN_TOKEN !== undefined) print('note: HEADWATER_ADMIN_TOKEN is set and wins over it');
}

// `headwater doctor`: what a start would stumble over, each line with what to do.
import { spawnSync } from 'node:child_process';
import { mkdir, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { openStorage } from '../platform/adapters/open-storage.ts';
import type { Settings } from '../platform/contract/settings.ts';
import { AppError, messageOf } from '../platform/runtime/errors.ts';
import { listen } from '../platform/runtime/http-server.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { requireTools } from './private-servers.ts';
import { readRunState } from './run-state.ts';

/** At least one check failed. */
export class DoctorFoundFaults extends AppError {
  constructor(count: number) {
    super('DOCTOR_FOUND_FAULTS', `${count} of the checks above failed`, { source: 'internal', retryable: false });
  }
}

type Check = { name: string; run: () => Promise<string> | string };

/** Prints a line per check. @throws DoctorFoundFaults */
export async function runDoctor(settings: Settings, print: (line: string) => void): Promise<void> {
  const running = await readRunState(resolve(settings.DATA_DIR));
  let faults = 0;
  for (const check of [...toolChecks(), ...placeChecks(settings, running !== null)]) {
    try {
      print(`ok     ${check.name}: ${await check.run()}`);
    } catch (thrown) {
      faults += 1;
      print(`FAULT  ${check.name}: ${messageOf(thrown)}`);
    }
  }
  print(
    running ? `running since ${new Date(running.started_at).toISOString()} as process ${running.pid}` : 'not running',
  );
  if (faults > 0) throw new DoctorFoundFaults(faults);
}

function toolChecks(): Check[] {
  return [
    {
      name: 'tools',
      run: () => {
        requireTools(!process.env['REDIS_URL']);
        return 'ffmpeg and redis-server answer';
      },
    },
    {
      name: 'sandbox',
      run: () => {
        const trial = spawnSync('bwrap', ['--unshare-all', '--ro-bind', '/', '/', 'true']);
        if (trial.status !== 0)
          throw new Error(
            'bubblewrap does not run here (apt-get install bubblewrap; unprivileged user namespaces must be allowed): ffmpeg on uploads falls back to prlimit',
          );
        return 'bubblewrap runs';
      },
    },
  ];
}

function placeChecks(settings: Settings, isRunning: boolean): Check[] {
  const ports: [string, number[]][] = [
    ['HEADWATER_API_PORT', [settings.API_PORT]],
    ['HEADWATER_RTMP_PORT', [settings.RTMP_PORT]],
    ['HEADWATER_EDGE_PORTS', settings.EDGE_PORTS],
    ['HEADWATER_ORIGIN_PORTS', settings.ORIGIN_PORTS],
  ];
  const portChecks = ports.map(([variable, values]) => ({
    name: variable,
    run: async () => {
      if (isRunning) return `${values.join(', ')} (in use by the running platform)`;
      for (const port of values) {
        const server = createServer();
        await listen(server, port, settings.BIND, variable);
        await new Promise<void>((done) => server.close(() => done()));
      }
      return `${values.join(', ')} free`;
    },
  }));
  return [
    ...portChecks,
    {
      name: 'disk',
      run: async () => {
        const folder = resolve(settings.DATA_DIR);
        await mkdir(folder, { recursive: true });
        const { bavail, bsize } = await statfs(folder);
        if (bavail * bsize < settings.DISK_RESERVE_BYTES)
          throw new Error(`${folder} has less than HEADWATER_DISK_RESERVE_BYTES free: uploads will be refused`);
        return `${Math.floor((bavail * bsize) / 1024 ** 3)} GiB free in ${folder}`;
      },
    },
    {
      name: 'store',
      run: async () => {
        if (settings.STORAGE === 'minio') return 'private MinIO, proven at start';
        const storage = openStorage(settings, silentLogger);
        try {
          await storage.prove();
          return `${storage.description}: conditional writes work`;
        } finally {
          await storage.close();
        }
      },
    },
  ];
}

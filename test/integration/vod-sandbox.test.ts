// The real walls around ffmpeg: files, network, time and process group, for each driver that works on this machine.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../platform/runtime/log.ts';
import { probe, takePicture, transcode } from '../../transcoder/ffmpeg-jobs.ts';
import { readSource } from '../../transcoder/probe.ts';
import { openSandbox, type ProcessLimits, type Sandbox } from '../../transcoder/sandbox.ts';
import { RABBIT } from '../support/media.ts';
import { canRun, requirePart } from '../support/parts.ts';
import { tempDir } from '../support/temp.ts';

const run = promisify(execFile);
const LIMITS: ProcessLimits = { memoryBytes: 4 * 1024 ** 3, cpuS: 60, fileBytes: 1024 ** 2, openFiles: 64 };
const container = { name: 'mp4', demuxer: 'mov' };

const hasBwrap = await requirePart(
  'bubblewrap',
  () => canRun('bwrap', ['--unshare-all', '--ro-bind', '/', '/', 'true']),
  'apt-get install bubblewrap, on a machine that allows user namespaces',
);

type Cell = { sandbox: Sandbox; dir: string; files: string; programs: { ffmpeg: string; ffprobe: string } };

async function makeCell(driver: 'bwrap' | 'prlimit'): Promise<Cell> {
  const dir = await tempDir('sandbox');
  const files = join(dir, 'files');
  await mkdir(files);
  await copyFile(RABBIT, join(files, 'source'));
  const sandbox = await openSandbox(driver, join(dir, 'trial'), silentLogger);
  return { sandbox, dir, files, programs: await sandbox.confine(join(dir, 'scripts'), files, LIMITS) };
}

async function processesOf(dir: string): Promise<number> {
  const { stdout } = await run('ps', ['-eo', 'stat,args']);
  return stdout.split('\n').filter((line) => line.includes(dir) && line.includes('ffmpeg') && !line.startsWith('Z'))
    .length;
}

async function waitUntil(what: string, probeOnce: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await probeOnce())) {
    if (performance.now() > end) throw new Error(`${what}: not within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const endless = {
  outputArgs: ['-map', '0:v', '-vf', 'loop=loop=-1:size=200,realtime', '-c:v', 'mpeg2video', '-f', 'mpegts'],
  isVideo: true,
};

const drivers = [...(hasBwrap ? (['bwrap'] as const) : []), 'prlimit' as const];
describe.each(drivers)('driver %s', (driver) => {
  let cell: Cell;
  beforeAll(async () => {
    cell = await makeCell(driver);
  }, 60_000);
  const job = () => ({ programs: cell.programs, container, threads: 1 });

  it('lets the source be read', async () => {
    const source = readSource(await probe(job()), 800_000);
    expect(source.video).toMatchObject({ codec: 'h264', width: 320, height: 240, fps: 30 });
    const picture = await takePicture(
      job(),
      { streamIndex: 0, width: 64, height: 48, atS: 1 },
      AbortSignal.timeout(20_000),
    );
    expect(picture?.subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]));
    expect(
      await takePicture(job(), { streamIndex: 0, width: 64, height: 48, atS: 60 }, AbortSignal.timeout(20_000)),
    ).toBeNull();
  });

  it('ends ffmpeg at the wall clock, its whole group', async () => {
    const reading = async () => {
      for await (const _chunk of transcode(job(), {
        ...endless,
        limitMs: 1_500,
        signal: new AbortController().signal,
      }));
    };
    await expect(reading()).rejects.toMatchObject({ type: 'TIME_LIMIT' });
    await waitUntil('no process left', async () => (await processesOf(cell.dir)) === 0);
  });

  it('ends ffmpeg when the reader leaves, and when it is told to', async () => {
    for await (const _chunk of transcode(job(), { ...endless, limitMs: 30_000, signal: new AbortController().signal }))
      break;
    await waitUntil('no process left', async () => (await processesOf(cell.dir)) === 0);
    const stop = new AbortController();
    const reading = async () => {
      for await (const _chunk of transcode(job(), { ...endless, limitMs: 30_000, signal: stop.signal }))
        stop.abort(new Error('enough'));
    };
    await expect(reading()).rejects.toThrow('enough');
    await waitUntil('no process left', async () => (await processesOf(cell.dir)) === 0);
  });

  it('refuses a playlist although the demuxer would read it', async () => {
    const other = await makeCell(driver);
    await writeFile(join(other.files, 'source'), `#EXTM3U\n#EXTINF:1,\n${RABBIT}\n#EXT-X-ENDLIST\n`);
    await expect(probe({ programs: other.programs, container, threads: 1 })).rejects.toMatchObject({
      type: 'MALFORMED',
    });
  });

  it('writes scripts that only the owner may read', async () => {
    const text = await readFile(cell.programs.ffmpeg, 'utf8');
    expect(text).toContain('ulimit -v');
    await expect(run('stat', ['-c', '%a', cell.programs.ffmpeg])).resolves.toMatchObject({ stdout: '700\n' });
  });
});

describe.skipIf(!hasBwrap)('inside bwrap', () => {
  it('other files do not exist, and the source cannot be written', async () => {
    const cell = await makeCell('bwrap');
    await expect(run(cell.programs.ffprobe, ['-v', 'error', RABBIT])).rejects.toThrow('No such file');
    const overwrite = [
      '-v',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      'testsrc2=d=0.1',
      '-f',
      'mpegts',
      join(cell.files, 'source'),
    ];
    await expect(run(cell.programs.ffmpeg, overwrite)).rejects.toThrow(/Read-only|Permission/);
    await expect(
      run(cell.programs.ffmpeg, [
        '-v',
        'error',
        '-f',
        'data',
        '-i',
        join(cell.dir, 'scripts', 'ffmpeg'),
        '-map',
        '0',
        '-f',
        'data',
        '-',
      ]),
    ).rejects.toThrow('No such file');
  });

  it('there is no network', async () => {
    const cell = await makeCell('bwrap');
    let visits = 0;
    const server = createServer((socket) => {
      visits += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      await expect(run(cell.programs.ffprobe, ['-v', 'error', `tcp://127.0.0.1:${port}`])).rejects.toThrow();
      expect(visits).toBe(0);
    } finally {
      server.close();
    }
  });

  it('there is no environment', async () => {
    const cell = await makeCell('bwrap');
    const text = await readFile(cell.programs.ffmpeg, 'utf8');
    const shell = join(cell.dir, 'scripts', 'env');
    await writeFile(shell, text.replace(/'[^']*\/ffmpeg' "\$@"/, `'/usr/bin/env' "$@"`), { mode: 0o700 });
    const { stdout } = await run(shell, [], { env: { ...process.env, HEADWATER_INTERNAL_SECRET: 'canary' } });
    expect(stdout).not.toContain('canary');
    expect(stdout).not.toContain('HEADWATER');
  });
});

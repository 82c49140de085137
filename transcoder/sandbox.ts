// The sandbox port: every ffmpeg and ffprobe that touches an upload runs through a small sh script made here, which confines it
// before it starts. Drivers: `bwrap` (namespaces: no network, no environment, only the job's folder), `container` (a dedicated image
// is the wall), `prlimit` (limits alone, with a warning).
import { spawn } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from '../platform/runtime/log.ts';
import { within } from '../platform/runtime/waits.ts';
import { FfmpegMissing, SandboxUnusable } from './errors.ts';

export const SANDBOX_DRIVERS = ['bwrap', 'container', 'prlimit'] as const;
export type SandboxDriver = (typeof SANDBOX_DRIVERS)[number];

/** Limits of one process. */
export type ProcessLimits = {
  /** Address space. Unit: bytes. */
  memoryBytes: number;
  cpuS: number;
  /** Largest file it may write. Unit: bytes. */
  fileBytes: number;
  openFiles: number;
};

/** Executables for one job: the confined programs. They live outside the folder that the programs can see. */
export type ConfinedPrograms = { ffmpeg: string; ffprobe: string };

export interface Sandbox {
  readonly driver: SandboxDriver;
  /**
   * Writes the scripts of one job. The programs run with `filesFolder` as their working folder; under `bwrap` they see nothing else
   * of the data, and `source` in it cannot be written.
   * @param scriptFolder where the scripts go, outside filesFolder
   */
  confine(scriptFolder: string, filesFolder: string, limits: ProcessLimits): Promise<ConfinedPrograms>;
}

/** Programs of the machine that the scripts use; empty text: not there. */
export type Tools = {
  ffmpeg: string;
  ffprobe: string;
  bwrap: string;
  setsid: string;
  setpriv: string;
  timeout: string;
  nice: string;
};

/** Folders of the system that ffmpeg needs for its libraries; links (merged /usr) are made anew inside. */
export type SystemFolder = { path: string; target: string | null };

/** ffprobe reads a bounded part of the file; the library gives no handle to stop it, so it stops itself. Unit: s. */
export const PROBE_LIMIT_S = 60;
const NICENESS = 10;

/** A word of an sh script. */
const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Arguments of bwrap up to the program. */
export function bwrapArgs(filesFolder: string, folders: readonly SystemFolder[], program: string): string[] {
  const mounts = folders.flatMap(({ path, target }) =>
    target === null ? ['--ro-bind', path, path] : ['--symlink', target, path],
  );
  const libraries = ['--ro-bind-try', '/etc/ld.so.cache', '/etc/ld.so.cache'];
  const alternatives = ['--ro-bind-try', '/etc/alternatives', '/etc/alternatives'];
  const own = program.startsWith('/usr/') ? [] : ['--ro-bind', dirname(program), dirname(program)];
  const source = join(filesFolder, 'source');
  return [
    ...['--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--uid', '65534', '--gid', '65534'],
    ...[
      '--clearenv',
      '--setenv',
      'PATH',
      '/usr/bin:/bin',
      '--setenv',
      'HOME',
      '/nonexistent',
      '--setenv',
      'LC_ALL',
      'C',
    ],
    ...mounts,
    ...libraries,
    ...alternatives,
    ...own,
    ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
    ...['--bind', filesFolder, filesFolder, '--ro-bind-try', source, source, '--chdir', filesFolder],
  ];
}

type ScriptPlan = {
  driver: SandboxDriver;
  tools: Tools;
  folders: readonly SystemFolder[];
  filesFolder: string;
  limits: ProcessLimits;
  program: string;
  /** Wall clock inside the script; 0: the caller watches. Unit: s. */
  wallS: number;
};

/**
 * Text of a script. It replaces itself (exec), so the process id that the caller holds is the program's own, at the head of its own
 * process group, and dies with the caller (setpriv --pdeathsig) even when that is killed with -9.
 */
export function confinementScript(plan: ScriptPlan): string {
  const { driver, tools, limits, filesFolder, program, wallS } = plan;
  const words = [
    ...(tools.setsid === '' ? [] : [tools.setsid]),
    ...(tools.setpriv === '' ? [] : [tools.setpriv, '--pdeathsig', 'KILL']),
    ...(tools.nice === '' ? [] : [tools.nice, '-n', String(NICENESS)]),
    ...(wallS === 0 || tools.timeout === '' ? [] : [tools.timeout, '-k', '2', String(wallS)]),
    ...(driver === 'bwrap'
      ? [tools.bwrap, ...bwrapArgs(filesFolder, plan.folders, program)]
      : ['env', '-i', 'LC_ALL=C']),
    program,
  ];
  const limit = (letter: string, value: number) =>
    `ulimit -${letter} ${Math.max(1, Math.floor(value))} 2>/dev/null || :`;
  return [
    '#!/bin/sh',
    `cd ${quote(filesFolder)} || exit 70`,
    'ulimit -c 0',
    limit('v', limits.memoryBytes / 1024),
    limit('t', limits.cpuS),
    limit('f', limits.fileBytes / 512),
    limit('n', limits.openFiles),
    `exec ${words.map(quote).join(' ')} "$@"`,
    '',
  ].join('\n');
}

/** Looks for the programs in PATH. @throws FfmpegMissing without ffmpeg or ffprobe */
export async function findTools(): Promise<Tools> {
  const find = async (name: string): Promise<string> => {
    const found = await run('/bin/sh', ['-c', `command -v ${name}`]);
    return found.code === 0 && found.stdout.startsWith('/') ? found.stdout.trim() : '';
  };
  const [ffmpeg, ffprobe, bwrap, setsid, setprivPath, timeout, nice] = await Promise.all(
    ['ffmpeg', 'ffprobe', 'bwrap', 'setsid', 'setpriv', 'timeout', 'nice'].map(find),
  );
  if (!ffmpeg) throw new FfmpegMissing('ffmpeg');
  if (!ffprobe) throw new FfmpegMissing('ffprobe');
  const setpriv = setprivPath ?? '';
  const canDie = setpriv !== '' && (await run(setpriv, ['--pdeathsig', 'KILL', '/bin/sh', '-c', ':'])).code === 0;
  return {
    ffmpeg: await realpath(ffmpeg),
    ffprobe: await realpath(ffprobe),
    bwrap: bwrap ?? '',
    setsid: setsid ?? '',
    setpriv: canDie ? setpriv : '',
    timeout: timeout ?? '',
    nice: nice ?? '',
  };
}

async function systemFolders(): Promise<SystemFolder[]> {
  const folders: SystemFolder[] = [{ path: '/usr', target: null }];
  for (const path of ['/bin', '/sbin', '/lib', '/lib32', '/lib64']) {
    try {
      folders.push({ path, target: (await lstat(path)).isSymbolicLink() ? await readlink(path) : null });
    } catch {
      // Not on this system: nothing to show inside.
    }
  }
  return folders;
}

type RunResult = { code: number; stdout: string; stderr: string };

async function run(program: string, args: string[]): Promise<RunResult> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<RunResult>((resolve) => {
    const result = { code: 127, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      result.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      result.stderr += text;
    });
    child.on('error', (thrown) => resolve({ ...result, stderr: thrown.message }));
    child.on('close', (code) => resolve({ ...result, code: code ?? 128 }));
  });
  try {
    return await within(ended, 15_000, program);
  } catch (thrown) {
    child.kill('SIGKILL');
    throw thrown;
  }
}

function sandboxWith(driver: SandboxDriver, tools: Tools, folders: readonly SystemFolder[]): Sandbox {
  return {
    driver,
    async confine(scriptFolder, filesFolder, limits) {
      await mkdir(scriptFolder, { recursive: true, mode: 0o700 });
      const write = async (name: 'ffmpeg' | 'ffprobe', wallS: number) => {
        const path = join(scriptFolder, name);
        const text = confinementScript({ driver, tools, folders, filesFolder, limits, program: tools[name], wallS });
        await writeFile(path, text, { mode: 0o700 });
        return path;
      };
      return { ffmpeg: await write('ffmpeg', 0), ffprobe: await write('ffprobe', PROBE_LIMIT_S) };
    },
  };
}

const TRIAL_LIMITS: ProcessLimits = { memoryBytes: 4 * 1024 ** 3, cpuS: 10, fileBytes: 1024 ** 2, openFiles: 64 };

/** Runs the confined ffmpeg once in a folder of its own; the reason when it does not run. */
async function trialFault(sandbox: Sandbox, scratch: string): Promise<string | null> {
  await mkdir(scratch, { recursive: true });
  const folder = await mkdtemp(join(scratch, 'trial-'));
  try {
    const files = join(folder, 'files');
    await mkdir(files);
    const programs = await sandbox.confine(join(folder, 'scripts'), files, TRIAL_LIMITS);
    const result = await run(programs.ffmpeg, ['-hide_banner', '-version']);
    if (result.code === 0 && result.stdout.startsWith('ffmpeg version')) return null;
    return result.stderr.trim().split('\n').pop() || `exit code ${result.code}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Chooses and proves the sandbox.
 * @param wish HEADWATER_SANDBOX; `auto` takes bwrap where a trial run succeeds, else prlimit
 * @param scratch folder for the trial run
 * @throws FfmpegMissing SandboxUnusable
 */
export async function openSandbox(wish: SandboxDriver | 'auto', scratch: string, log: Logger): Promise<Sandbox> {
  const tools = await findTools();
  const folders = await systemFolders();
  const reasons: string[] = [];
  for (const driver of wish === 'auto' ? (['bwrap', 'prlimit'] as const) : [wish]) {
    const missing = driver === 'bwrap' && tools.bwrap === '';
    const sandbox = sandboxWith(driver, tools, folders);
    const fault = missing ? 'bwrap was not found in PATH (package bubblewrap)' : await trialFault(sandbox, scratch);
    if (fault !== null) {
      reasons.push(`${driver}: ${fault}`);
      continue;
    }
    if (driver === 'prlimit') {
      log.warn('UPLOADS ARE TRANSCODED WITHOUT A SANDBOX: only limits on memory, time and files apply', {
        advice: 'install bubblewrap, or run transcoders in a dedicated container with HEADWATER_SANDBOX=container',
        reasons,
      });
    }
    log.info('sandbox chosen', { driver });
    return sandbox;
  }
  throw new SandboxUnusable(wish, reasons.join('; '));
}

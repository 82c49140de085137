// Where pictures of live broadcasts are decoded and put together: one short ffmpeg at a time for the whole process, in the sandbox, since
// a passed-through source is a stranger's bytes.
import { spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../platform/runtime/errors.ts';
import type { Component } from '../platform/runtime/lifecycle.ts';
import { within } from '../platform/runtime/waits.ts';
import { FfmpegFailed, JobInterrupted } from './errors.ts';
import type { ConfinedPrograms, ProcessLimits, Sandbox } from './sandbox.ts';
import type { JobFolder, Scratch } from './scratch.ts';

export type Studio = Component & {
  /** First picture of one fragmented MP4 (init and fragments), JPEG, in a box of 320 x 180. @throws FfmpegFailed JobInterrupted ScratchFull */
  picture(media: Uint8Array): Promise<Buffer>;
  /** Pictures on a sheet, rows from the top left. @param tile size of each on it, pixels */
  sheet(pictures: readonly Uint8Array[], tile: TileSize): Promise<Buffer>;
  /**
   * A JPEG or PNG as one raw picture, yuv420p, fitted in with black around it.
   * @param width even, pixels @param height even, pixels
   */
  still(image: Uint8Array, width: number, height: number): Promise<Buffer>;
  /** Pictures asked for and not made yet. */
  waiting(): number;
};
export type TileSize = { width: number; height: number; columns: number; rows: number };

const BOX = { width: 320, height: 180 };
const LIMITS: ProcessLimits = { memoryBytes: 2 * 1024 ** 3, cpuS: 10, fileBytes: 16 * 1024 ** 2, openFiles: 64 };
/** Room that the files of one run need. Unit: bytes. */
const SCRATCH_BYTES = 64 * 1024 ** 2;
const WALL_MS = 10_000;
const BASE = ['-hide_banner', '-loglevel', 'error', '-nostdin', '-threads', '1', '-protocol_whitelist', 'file'];
const JPEG = ['-c:v', 'mjpeg', '-q:v', '5', '-threads', '1', '-f', 'image2', '-update', '1'];
const RAW = ['-c:v', 'rawvideo', '-pix_fmt', 'yuv420p', '-f', 'rawvideo'];
const OUTPUT = ['-frames:v', '1', '-y', 'picture'];
const PNG_MAGIC = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

const fitInto = (width: number, height: number): string =>
  `scale='trunc(iw*sar/2)*2':ih,scale='min(${width},iw)':'min(${height},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1`;

/** @param sandbox known after start */
export function createStudio(scratch: Pick<Scratch, 'open' | 'remove'>, sandbox: () => Sandbox): Studio {
  let place: { folder: JobFolder; programs: ConfinedPrograms } | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  let queued = 0;
  const closing = new AbortController();
  const open = async () => {
    if (place !== null) return place;
    const folder = await scratch.open('live-pictures', SCRATCH_BYTES);
    place = { folder, programs: await sandbox().confine(folder.scripts, folder.files, LIMITS) };
    return place;
  };
  const make = async (source: Uint8Array, args: readonly string[]): Promise<Buffer> => {
    if (closing.signal.aborted) throw new JobInterrupted('the worker is closing');
    const { folder, programs } = await open();
    const [input, output] = [join(folder.files, 'source'), join(folder.files, 'picture')];
    await writeFile(input, source);
    try {
      await runConfined(programs.ffmpeg, folder.files, [...BASE, ...args, ...OUTPUT], closing.signal);
      return await readFile(output);
    } catch (thrown) {
      throw thrown instanceof AppError
        ? thrown
        : new FfmpegFailed('make a picture', messageOf(thrown), { cause: thrown });
    } finally {
      await Promise.all([rm(input, { force: true }), rm(output, { force: true })]);
    }
  };
  /** One at a time, in the order of asking. */
  const inTurn = (source: Uint8Array, args: readonly string[]): Promise<Buffer> => {
    queued += 1;
    const mine = turn
      .then(() => make(source, args))
      .finally(() => {
        queued -= 1;
      });
    turn = mine.catch(() => undefined);
    return mine;
  };
  return {
    start: async () => undefined,
    picture: (media) =>
      inTurn(media, ['-f', 'mov', '-i', 'source', '-an', '-vf', fitInto(BOX.width, BOX.height), ...JPEG]),
    sheet(pictures, { width, height, columns, rows }) {
      const tiles = `${fitInto(width, height)},pad=${width}:${height}:-1:-1,tile=${columns}x${rows}`;
      return inTurn(Buffer.concat(pictures), ['-f', 'mjpeg', '-i', 'source', '-vf', tiles, ...JPEG]);
    },
    async still(image, width, height) {
      const format = Buffer.compare(image.subarray(0, 4), PNG_MAGIC) === 0 ? 'png_pipe' : 'mjpeg';
      const fitted = `scale=${width}:${height}:force_original_aspect_ratio=decrease,pad=${width}:${height}:-1:-1`;
      const raw = await inTurn(image, ['-f', format, '-i', 'source', '-vf', `${fitted},setsar=1`, ...RAW]);
      if (raw.length !== (width * height * 3) / 2) throw new FfmpegFailed('make a still', 'the picture is not whole');
      return raw;
    },
    waiting: () => queued,
    async close() {
      closing.abort();
      await turn;
      if (place !== null) await scratch.remove(place.folder);
      place = null;
    },
  };
}

async function runConfined(program: string, folder: string, args: string[], signal: AbortSignal): Promise<void> {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-500);
  });
  // The script stands at the head of a process group of its own (sandbox.ts).
  const stop = () => {
    if (child.pid === undefined || child.exitCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  };
  signal.addEventListener('abort', stop, { once: true });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 128));
  });
  try {
    const code = await within(ended, WALL_MS, 'a picture');
    if (code !== 0) throw new FfmpegFailed('make a picture', words.trim() || `exit code ${code}`);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

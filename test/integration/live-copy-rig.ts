// Runs pass-through over a clip's tags, without a worker around it, and reads source and outcome with ffmpeg.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type BroadcastId, newId, type RenditionName, type SessionId } from '../../platform/contract/ids.ts';
import type { LatencyMode } from '../../platform/contract/latency.ts';
import { BroadcastRecord, type EpochInfo } from '../../platform/contract/records.ts';
import { RING_KINDS, type RingFrame } from '../../platform/contract/ring.ts';
import { TimelineEntry } from '../../platform/contract/timeline.ts';
import { silentLogger } from '../../platform/runtime/log.ts';
import { CopyRun } from '../../transcoder/live-copy.ts';
import { type CopyPlan, planCopy } from '../../transcoder/live-copy-plan.ts';
import { LiveFeed } from '../../transcoder/live-feed.ts';
import type { CutPart } from '../../transcoder/live-video-cutter.ts';
import type { FlvFileTag } from './live-worker-ring.ts';

const run = promisify(execFile);

/** A broadcast that has just opened. */
export const openBroadcast = (mode: LatencyMode, epochs: EpochInfo[] = []): BroadcastRecord => {
  const id = newId<BroadcastId>();
  return BroadcastRecord.parse({
    ...{ version: 1, id, stream_id: newId(), content_id: id, status: 'live', created_at: 0, updated_at: 0 },
    ...{ ended_at: null, latency_mode: mode, transcode: 'passthrough', redundancy: 'standby', reconnect_window_s: 60 },
    ...{ term: 1, worker: null, ingest: null, disconnected_at: null, epochs },
  });
};

async function* framesOf(session: SessionId, tags: readonly FlvFileTag[]): AsyncGenerator<RingFrame> {
  const payload = Buffer.from(session);
  yield { kind: RING_KINDS.session, flags: 0, timestamp: 0, arrival: 0, tag: 0, payload };
  for (const [tag, { kind, timestamp, payload: bytes }] of tags.entries()) {
    yield { kind, flags: 0, timestamp, arrival: 1_000_000 + timestamp, tag, payload: bytes };
  }
}

/** A feed of one session that sends these tags and ends. */
export const feedOf = (tags: readonly FlvFileTag[], session: SessionId = newId()): LiveFeed =>
  new LiveFeed(framesOf(session, tags));

export const startOf = (record: BroadcastRecord) => ({
  record,
  epoch: record.epochs.length,
  msn0: 0,
  pdtFloor: 0,
  shown: null,
  limitMs: 1_000,
  onFirst: () => undefined,
});

export type Copied = { plan: CopyPlan; inits: Map<RenditionName, Uint8Array>; parts: CutPart[] };

/** Everything of the feed through one run. */
export async function copyAll(feed: LiveFeed, plan: CopyPlan): Promise<Copied> {
  const inits = new Map<RenditionName, Uint8Array>();
  const parts: CutPart[] = [];
  const failed = (thrown: unknown) => {
    throw thrown;
  };
  const onReady = async (renditions: { name: RenditionName; bytes: Uint8Array }[]) => {
    for (const { name, bytes } of renditions) inits.set(name, bytes);
  };
  const copy = new CopyRun(plan, { onReady, onPart: (part) => parts.push(part), onFailure: failed }, silentLogger);
  await copy.begin(0);
  for (;;) {
    const item = await feed.next();
    if (item.type === 'end' || item.type === 'away') break;
    if (item.type === 'break') throw new Error(`the source broke: ${item.reason}`);
    await copy.feed(item);
  }
  await copy.finish();
  return { plan, inits, parts };
}

/** Pass-through of a whole clip. */
export async function copyTags(tags: readonly FlvFileTag[], mode: LatencyMode): Promise<Copied> {
  const feed = feedOf(tags);
  const plan = await planCopy(feed, startOf(openBroadcast(mode)));
  if (typeof plan === 'string') throw new Error(`no plan: ${plan}`);
  return copyAll(feed, plan);
}

export const partsOf = (copied: Copied, kind: 'v' | 'a'): CutPart[] =>
  copied.parts.filter((part) => part.rendition.startsWith(kind));

/** What the timeline would hold of it. */
export function entriesOf(copied: Copied): TimelineEntry[] {
  const { epoch } = copied.plan.info;
  return partsOf(copied, 'v').map(({ msn, part, last }) => {
    const own = copied.parts.filter((one) => one.msn === msn && one.part === part);
    const renditions = own.map(({ rendition, bytes, duration, tfdt, independent }) => {
      return [rendition, { writer: 'writeraaaa', bytes: bytes.length, sha256: '', duration, tfdt, independent }];
    });
    const base = { version: 1, term: 1, epoch, msn, part, pdt: 0, gap: false, last, src: 'store' };
    return TimelineEntry.parse({ ...base, renditions: Object.fromEntries(renditions) });
  });
}

/** One rendition as a file: init and parts. */
export async function writeRendition(copied: Copied, kind: 'v' | 'a', path: string): Promise<void> {
  const parts = partsOf(copied, kind);
  const name = parts[0]?.rendition;
  const init = name === undefined ? undefined : copied.inits.get(name);
  await writeFile(path, Buffer.concat([init ?? new Uint8Array(0), ...parts.map((part) => part.bytes)]));
}

export type FrameLine = { pts: number; duration: number; hash: string };

/** Hashes of decoded pictures, or of packets where `isCopied`; pts in s. ffmpeg must have nothing to complain about. */
export async function frameHashes(path: string, stream: 'v' | 'a', isCopied = false): Promise<FrameLine[]> {
  const codec = isCopied ? ['-c', 'copy'] : ['-fps_mode', 'passthrough'];
  const map = ['-v', 'warning', '-copyts', '-i', path, '-map', `0:${stream}:0`, ...codec, '-f', 'framemd5', '-'];
  const { stdout, stderr } = await run('nice', ['ffmpeg', ...map], { maxBuffer: 64 * 1024 * 1024 });
  if (stderr.trim() !== '') throw new Error(`ffmpeg says of ${path}: ${stderr}`);
  const base = /^#tb 0: (\d+)\/(\d+)$/m.exec(stdout);
  const tick = Number(base?.[1]) / Number(base?.[2]);
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .map((cells) => ({ pts: Number(cells[2]) * tick, duration: Number(cells[3]) * tick, hash: cells[5] ?? '' }));
}

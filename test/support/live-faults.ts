// Must show D: faults of a live with a publisher and a viewer on throughout, and what each may cost at most.
import type { Browser } from 'playwright-core';
import { delay } from '../../platform/runtime/waits.ts';
import { type LiveWatch, type LiveWatchOptions, leadingWorker, recordedNumbers, watchLive } from './live-watch.ts';
import { type Publisher, publish } from './media.ts';
import type { Platform, PlatformOptions } from './platform.ts';
import { breaksIn } from './story.ts';

export type FaultOutcome = {
  fault: string;
  /** Longest time in which the viewer's play head stood still. */
  stallMs: number;
  /** How long what was killed was away, where that decides. */
  downMs: number;
  reloads: number;
  pictures: number;
  /** Places in the recording where the burnt-in number does not count up. */
  breaks: { index: number; from: number; to: number }[];
};
export type LiveFault = {
  name: string;
  options: LiveWatchOptions;
  /** @returns how long something was away, ms */
  act(watch: LiveWatch, platform: Platform, awayMs: number): Promise<number>;
  /** Largest stall. Unit: ms. */
  stallLimitMs(downMs: number): number;
  /** Most breaks in the recording: 1 where the publisher changes. */
  breaks: number;
};

/** Two small rungs leave room for a browser on two cores. */
export const FAULT_PLATFORM: PlatformOptions = {
  storage: 'minio',
  env: {
    HEADWATER_TRANSCODERS: '2',
    HEADWATER_TRANSCODER_LIVE_PRESET: 'ultrafast',
    HEADWATER_TRANSCODER_LIVE_MAX_RUNGS: '2',
  },
};

/** What a viewer does not see as a stall: a few pictures, measured by a clock that is read every 20 ms. */
const UNSEEN_MS = 400;
const FPS = 30;
const GOP_S = 2;

async function killed(platform: Platform, name: string): Promise<number> {
  const { pid } = platform.process(name);
  await platform.kill(name);
  return platform.restored(name, pid, 30_000);
}

async function frozen(pid: number, ms: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  try {
    await delay(ms);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

const nothing = async (work: Promise<unknown>): Promise<number> => {
  await work;
  return 0;
};

/** Gives what stands by the time to be ready; what the viewer saw until then does not count. */
async function standBy(watch: LiveWatch): Promise<void> {
  await delay(4_000);
  await watch.reset();
}

/** The publisher with the primary key is cut off while the one with the backup key stands by. */
async function primaryToBackup(watch: LiveWatch, platform: Platform): Promise<number> {
  const path = `/video/v1/live-streams/${watch.streamId}/backup-stream-key`;
  const { body } = await platform.call<{ data: { stream_key: string } }>('POST', path);
  const address = `${platform.state().rtmp_url}/${body.data.stream_key}`;
  const backup: Publisher = publish(address, 'numbered', { size: '640:360', fps: FPS });
  watch.alsoEnds(() => backup.stop());
  await standBy(watch);
  await watch.cutPublisher();
  return 0;
}

const standby = { options: {}, breaks: 0 };
const atOnce = { ...standby, stallLimitMs: () => UNSEEN_MS };
const hot: LiveWatchOptions = { stream: { redundancy: 'hot' } };

export const LIVE_FAULTS: LiveFault[] = [
  {
    ...standby,
    name: 'worker killed, standby',
    act: async (_watch, platform) => nothing(platform.kill((await leadingWorker(platform)).name)),
    stallLimitMs: () => 5_000,
  },
  {
    ...standby,
    name: 'worker frozen and awake again, standby',
    act: async (_watch, platform) => nothing(frozen((await leadingWorker(platform)).pid, 8_000)),
    stallLimitMs: () => 5_000,
  },
  {
    ...atOnce,
    name: 'worker killed, hot',
    options: hot,
    act: async (watch, platform) => {
      await standBy(watch);
      return nothing(platform.kill((await leadingWorker(platform)).name));
    },
  },
  {
    ...atOnce,
    name: 'worker frozen and awake again, hot',
    options: hot,
    act: async (watch, platform) => {
      await standBy(watch);
      return nothing(frozen((await leadingWorker(platform)).pid, 8_000));
    },
  },
  {
    name: 'publisher cut, back after a while',
    options: {},
    async act(watch, _platform, awayMs) {
      await watch.cutPublisher();
      await delay(awayMs);
      watch.publishAgain();
      return awayMs;
    },
    stallLimitMs: (downMs) => downMs + 5_000,
    breaks: 1,
  },
  {
    name: 'primary to backup',
    options: {},
    act: primaryToBackup,
    stallLimitMs: () => (GOP_S + 1) * 1_000,
    breaks: 1,
  },
  { ...atOnce, name: 'origin killed', act: (_watch, platform) => nothing(platform.kill('origin-1')) },
  {
    name: 'ingest killed, the encoder connects again',
    options: {},
    act: (_watch, platform) => killed(platform, 'ingest'),
    stallLimitMs: (downMs) => downMs + 8_000,
    breaks: 1,
  },
  {
    ...standby,
    name: 'Redis killed',
    act: (_watch, platform) => killed(platform, 'redis'),
    stallLimitMs: (downMs) => downMs + 1_000,
  },
  {
    ...atOnce,
    name: 'store stopped',
    async act(_watch, platform, awayMs) {
      await frozen(platform.process('minio').pid, awayMs);
      return awayMs;
    },
  },
];

/** Watches a new stream, does the fault, watches on for `afterMs`, ends the broadcast, and decodes what was recorded. */
export async function runFault(
  platform: Platform,
  browser: Browser,
  fault: LiveFault,
  times: { awayMs: number; afterMs: number },
): Promise<FaultOutcome> {
  const watch = await watchLive(platform, browser, fault.options);
  try {
    await delay(2_000);
    await watch.reset();
    const downMs = await fault.act(watch, platform, times.awayMs);
    await delay(times.afterMs);
    const { stallMs, reloads } = await watch.viewed();
    await watch.endPublishers();
    const numbers = await recordedNumbers(platform, watch);
    const breaks = breaksIn(numbers);
    return { fault: fault.name, stallMs, downMs: Math.round(downMs), reloads, pictures: numbers.length, breaks };
  } finally {
    await watch.stop();
  }
}

/** What the outcome broke of its limits; empty: nothing. */
export function faultsOf(fault: LiveFault, outcome: FaultOutcome): string[] {
  const limit = fault.stallLimitMs(outcome.downMs);
  return [
    ...(outcome.reloads > 0 ? [`${outcome.reloads} reloads`] : []),
    ...(outcome.stallMs > limit ? [`stalled ${outcome.stallMs} ms, limit ${limit}`] : []),
    ...(outcome.breaks.length > fault.breaks
      ? [`${outcome.breaks.length} breaks: ${JSON.stringify(outcome.breaks.slice(0, 5))}`]
      : []),
    ...(outcome.pictures < 150 ? [`only ${outcome.pictures} pictures recorded`] : []),
  ];
}

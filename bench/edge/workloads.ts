// The workloads: so many viewers of one kind before one server, at two sizes. Viewers per core = viewers / share of the core that was busy.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { messageOf } from '../../platform/runtime/errors.ts';
import { delay } from '../../platform/runtime/waits.ts';
import { type CpuUse, foreignShareOf, residentBytes, warningOf, watchCpu } from './cpu-time.ts';
import { classic, onDemand, type Rung } from './live-texts.ts';
import type { Peer, RunningPeer } from './peer.ts';
import { CLIENT_CORE, SERVER_CORE } from './processes.ts';
import { rounded, roundedSpread, type Spread, spreadOf, turns } from './rounds.ts';
import { Stage } from './stage.ts';
import type { Asked } from './stand-in.ts';
import { type Percentiles, Tally, type TallyFigures } from './tally.ts';
import { type Run, readSlowly, watchClassic, watchLowLatency, watchOnDemand } from './viewers.ts';

const MIB = 1_024 ** 2;
/** Viewers come over this long in a flash crowd. Unit: ms. */
const CROWD_MS = 10_000;
/** A slow line. Unit: bits per second. */
const SLOW_BPS = 5_000_000;
const SLOW_BYTES = 4 * MIB;
/** Store of every server in the on-demand workload, and titles: ten times as much. */
const SMALL_CACHE_BYTES = 64 * MIB;
const TITLES = Math.round((10 * SMALL_CACHE_BYTES) / (onDemand.segments * onDemand.segmentBytes));
const ZIPF_ALPHA = 0.8;
/** Shares of the rungs among classic viewers: of every four, one has a small line, two a middling one. */
const LINES: readonly Rung[] = ['v360', 'v480', 'v480', 'v720'];

export type Workload = {
  name: string;
  /** Viewers of the smaller and the larger run. */
  levels: readonly number[];
  /** Default length of the measured span. Unit: s. */
  seconds: number;
  origins: number;
  /** The measured span begins with the first viewer: the cold start is what is measured. */
  isCold: boolean;
  cacheBytes: number | null;
  /** Kills one origin in the middle. */
  killsOrigin: boolean;
  /** One viewer, to the end of the run. @param joinMs when the run begins */
  watch(run: Run, viewer: number, viewers: number, joinMs: number): Promise<void>;
};

const base = { origins: 1, isCold: false, cacheBytes: null, killsOrigin: false };
const watchLine = (run: Run, viewer: number, viewers: number, joinMs: number): Promise<void> =>
  watchClassic(
    run,
    viewer,
    LINES[viewer % LINES.length] ?? 'v480',
    joinMs + (viewer / viewers) * classic.segmentMs,
    false,
  );

export const workloads: Workload[] = [
  { ...base, name: 'live', levels: [300, 600], seconds: 30, watch: watchLine },
  { ...base, name: 'll', levels: [1_000, 2_000], seconds: 20, watch: watchLowLatency },
  {
    ...base,
    name: 'vod',
    levels: [150, 300],
    seconds: 30,
    cacheBytes: SMALL_CACHE_BYTES,
    watch: (run, viewer, viewers, joinMs) =>
      watchOnDemand(
        run,
        viewer,
        { count: TITLES, alpha: ZIPF_ALPHA },
        joinMs + (viewer / viewers) * onDemand.segmentMs,
      ),
  },
  {
    ...base,
    name: 'crowd',
    levels: [5_000],
    seconds: 15,
    isCold: true,
    watch: (run, viewer, viewers, joinMs) =>
      watchClassic(run, viewer, 'v144', joinMs + (viewer / viewers) * CROWD_MS, true),
  },
  {
    ...base,
    name: 'slow',
    levels: [250, 500],
    seconds: 30,
    watch: (run, viewer, viewers, joinMs) =>
      readSlowly(run, viewer, SLOW_BYTES, SLOW_BPS, joinMs + (viewer / viewers) * classic.segmentMs),
  },
  { ...base, name: 'origin-killed', levels: [300], seconds: 30, origins: 2, killsOrigin: true, watch: watchLine },
];

export type WorkloadRun = TallyFigures & {
  round: number;
  viewers: number;
  seconds: number;
  /** Share of the server's core that was busy, 0..1. */
  busyShare: number;
  viewersPerCore: number;
  serverS: number;
  /** Share of its core's busy time that was not the server's, 0..1. */
  foreignShare: number;
  /** Of the clients' core, 0..1: this process, origins and all. */
  clientShare: number;
  /** Of the clients' core, the simulated viewers alone. */
  viewersShare: number;
  /** Longest that the clients' event loop was held up: times above are no more exact than this. Unit: ms. */
  clientStallMs: number;
  residentBytes: number;
  origin: Asked;
  /** Requests at the origins for each object that one request is enough for, since the server's start; 1 is ideal. */
  coalescing: number | null;
  /** Bytes that origins sent for each byte that viewers got, since the server's start. */
  originByteShare: number | null;
  /** Low latency: from the origin's moment until the last viewer had it. `origin.lateMs` of it may be the origin's own. */
  lastViewerMs: { playlist: Percentiles; part: Percentiles } | null;
  /** Origin killed: media before and from the kill on. */
  aroundKill: { before: Percentiles; after: Percentiles } | null;
};
export type WorkloadResult = {
  workload: string;
  peer: string;
  viewers: number;
  viewersPerCore: Spread;
  /** Of all rounds. */
  errors: number;
  late: number;
  runs: WorkloadRun[];
};

/** A run that came to no figure. */
export type WorkloadFailure = { workload: string; peer: string; viewers: number; reason: string };

export type WorkloadOptions = {
  levels: readonly number[];
  seconds: number;
  rounds: number;
  env: Record<string, string>;
  /** Told how each server was started. */
  started: (peer: string, command: string) => void;
};

/** Runs one workload: peers take turns at every size, server and origins anew for each run. */
export async function measureWorkload(
  workload: Workload,
  peers: readonly Peer[],
  options: WorkloadOptions,
  say: (line: string) => void,
): Promise<{ results: WorkloadResult[]; failed: WorkloadFailure[] }> {
  const results: WorkloadResult[] = [];
  const failed: WorkloadFailure[] = [];
  for (const viewers of options.levels) {
    const runs = new Map<string, WorkloadRun[]>();
    for (const { round, peer } of turns(peers, options.rounds)) {
      const run = await runOnce(workload, peer, viewers, round, options).catch(messageOf);
      if (typeof run === 'string') {
        say(`${workload.name}: ${peer.name} FAILED: ${run}`);
        failed.push({ workload: workload.name, peer: peer.name, viewers, reason: run });
        continue;
      }
      runs.set(peer.name, [...(runs.get(peer.name) ?? []), run]);
      const errors = sum(Object.values(run.errors));
      say(
        `${workload.name}: ${peer.name} ${viewers} viewers, ${run.viewersPerCore} per core, late ${run.late}, errors ${errors} (round ${round + 1})${warningOf(run.foreignShare)}${fullOf(run.clientShare)}`,
      );
    }
    for (const [peer, of] of runs)
      results.push({
        workload: workload.name,
        peer,
        viewers,
        viewersPerCore: roundedSpread(spreadOf(of.map((run) => run.viewersPerCore))),
        errors: sum(of.flatMap((run) => Object.values(run.errors))),
        late: sum(of.map((run) => run.late)),
        runs: of,
      });
  }
  return { results, failed };
}

/** Beyond this the clients' core delays what is measured. */
const FULL_SHARE = 0.85;
const fullOf = (clientShare: number): string =>
  clientShare <= FULL_SHARE ? '' : `; TOO MANY VIEWERS: their core was ${Math.round(clientShare * 100)} % full`;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Warm-up before the measured span: connections, compilers, the first segments. Unit: ms. */
const warmMs = ({ isCold }: Workload, seconds: number): number => (isCold ? 0 : Math.min(6_000, seconds * 500));
/** From the end of the run to the closing of what is still open. Unit: ms. */
const GRACE_MS = 1_000;

async function runOnce(
  workload: Workload,
  peer: Peer,
  viewers: number,
  round: number,
  { seconds, env, started }: WorkloadOptions,
): Promise<WorkloadRun> {
  const stage = await Stage.open({ origins: workload.origins, env });
  try {
    const cache = workload.cacheBytes === null ? {} : { cacheBytes: workload.cacheBytes };
    const run = await stage.with(peer, cache, (running) =>
      watch(workload, stage, running, { viewers, round, seconds }),
    );
    started(peer.name, stage.commands.get(peer.name) ?? '');
    return run;
  } finally {
    await stage.close();
  }
}

type Size = { viewers: number; round: number; seconds: number };

async function watch(workload: Workload, stage: Stage, running: RunningPeer, size: Size): Promise<WorkloadRun> {
  const joinMs = Date.now() + 200;
  const fromMs = joinMs + warmMs(workload, size.seconds);
  const run: Run = {
    base: running.bases.plain ?? '',
    zeroMs: stage.zeroMs,
    endMs: fromMs + size.seconds * 1_000,
    tally: new Tally(fromMs),
    connections: new Set(),
    isOver: false,
    seed: size.round,
  };
  const watching = Promise.all(
    Array.from({ length: size.viewers }, (_, viewer) => workload.watch(run, viewer, size.viewers, joinMs)),
  );
  let span: Span;
  try {
    span = await measureSpan(workload, stage, running, run);
    await delay(GRACE_MS);
  } finally {
    run.isOver = true;
    for (const connection of run.connections) connection.close();
    await watching;
  }
  return { ...runOf(run, size, span), aroundKill: workload.killsOrigin ? run.tally.aroundMs(killAtMs(run)) : null };
}

type Span = { use: CpuUse; viewersS: number; stallMs: number; counts: Asked; resident: number };

/** From the beginning of the measured span to its end. */
async function measureSpan(workload: Workload, stage: Stage, running: RunningPeer, run: Run): Promise<Span> {
  await delay(run.tally.fromMs - Date.now());
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  const used = watchCpu(SERVER_CORE, CLIENT_CORE, running.pids);
  const own = process.cpuUsage();
  if (workload.killsOrigin) {
    await delay(killAtMs(run) - Date.now());
    await stage.origins[0]?.kill();
  }
  await delay(run.endMs - Date.now());
  const use = used();
  const { user, system } = process.cpuUsage(own);
  loop.disable();
  const resident = residentBytes(running.pids());
  return {
    use,
    viewersS: (user + system) / 1e6,
    stallMs: Math.round(loop.max / 1e6),
    counts: await stage.asked(),
    resident,
  };
}

const killAtMs = (run: Run): number => (run.tally.fromMs + run.endMs) / 2;

function runOf(
  run: Run,
  { viewers, round, seconds }: Size,
  { use, viewersS, stallMs, counts, resident }: Span,
): Omit<WorkloadRun, 'aroundKill'> {
  const busyShare = use.busyS / use.wallS;
  const figures = run.tally.figures();
  const [playlist, part] = [run.tally.lastViewerMs('playlist'), run.tally.lastViewerMs('media')];
  return {
    round,
    viewers,
    seconds,
    busyShare: rounded(busyShare),
    viewersPerCore: busyShare === 0 ? 0 : rounded(viewers / busyShare),
    serverS: use.serverS,
    foreignShare: foreignShareOf(use),
    clientShare: rounded(use.clientShare),
    viewersShare: rounded(viewersS / use.wallS),
    clientStallMs: stallMs,
    residentBytes: resident,
    origin: counts,
    coalescing: counts.objects === 0 ? null : rounded(counts.requestsForObjects / counts.objects),
    originByteShare: figures.allBytes === 0 ? null : rounded(counts.bytes / figures.allBytes),
    lastViewerMs: part.most === null ? null : { playlist, part },
    ...figures,
  };
}

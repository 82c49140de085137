// The cells: one object in one protocol, asked for again and again while the server's core is full. Requests and bytes per second that the core was busy.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../../platform/runtime/errors.ts';
import { type CpuUse, foreignShareOf, warningOf, watchCpu } from './cpu-time.ts';
import { gate, gateClient } from './gate.ts';
import { applyLoad, type LoadReport, warmUp } from './load-tools.ts';
import { bytesOf, contents, partPath, playlistPath, segmentPath } from './objects.ts';
import { FIXED_PLAYLIST } from './origin.ts';
import type { Peer, Protocol, RunningPeer } from './peer.ts';
import { PROTOCOLS } from './peer.ts';
import { CLIENT_CORE, SERVER_CORE } from './processes.ts';
import { rounded, roundedSpread, type Spread, spreadOf, turns } from './rounds.ts';
import type { Stage } from './stage.ts';

const KIB = 1_024;
const MIB = 1_024 * KIB;

type CellObject = { name: string; path: string; body: Buffer; connections: number };
const media = (name: string, path: string, bytes: number): CellObject => ({
  name,
  path,
  body: bytesOf(path, bytes),
  // Enough that the core never waits for the client; large bodies need few.
  connections: bytes >= MIB ? 16 : 32,
});

/** The four objects of every comparison. */
export const cellObjects = (): CellObject[] => [
  {
    name: 'playlist',
    path: playlistPath(contents.fixed),
    body: Buffer.from(FIXED_PLAYLIST),
    connections: 64,
  },
  media('part', partPath(contents.fixed, 7, 0, 200 * KIB), 200 * KIB),
  media('segment1m', segmentPath(contents.fixed, 8, MIB), MIB),
  media('segment4m', segmentPath(contents.fixed, 9, 4 * MIB), 4 * MIB),
];

export type Cell = { name: string; object: CellObject; protocol: Protocol };

/** `playlist-plain`, `playlist-tls`, ... */
export const allCells = (): Cell[] =>
  cellObjects().flatMap((object) =>
    PROTOCOLS.map((protocol) => ({ name: `${object.name}-${protocol}`, object, protocol })),
  );

/** Writes the objects below a folder under their addresses, for servers of files. */
export async function writeObjects(folder: string): Promise<void> {
  for (const { path, body } of cellObjects()) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), body);
  }
}

/** One timing. Rates are per second that the server's core was busy. */
export type Timing = {
  round: number;
  requests: number;
  seconds: number;
  busyS: number;
  /** CPU time of the server's own processes. */
  serverS: number;
  /** Share of `busyS` that was not the server's, 0..1: more than a little, and the figure is worth nothing. */
  foreignShare: number;
  requestsPerBusyS: number;
  bytesPerBusyS: number;
  p50Ms: number;
  p99Ms: number | null;
  clientShare: number;
  stealS: number;
  /** Requests at the origin during the timing. */
  originRequests: number;
  errors: number;
};

export type CellResult = {
  cell: string;
  peer: string;
  requestsPerBusyS: Spread;
  bytesPerBusyS: Spread;
  timings: Timing[];
};
export type Refusal = { cell: string; peer: string; reason: string };

export type CellOptions = { seconds: number; rounds: number };

/**
 * Times one cell: peers take turns, each started anew for every timing.
 * @param say told of every timing
 */
export async function measureCell(
  stage: Stage,
  cell: Cell,
  peers: readonly Peer[],
  { seconds, rounds }: CellOptions,
  say: (line: string) => void,
): Promise<{ results: CellResult[]; refused: Refusal[] }> {
  const timings = new Map<string, Timing[]>();
  const refused = new Map<string, Refusal>();
  for (const { round, peer } of turns(peers, rounds)) {
    if (refused.has(peer.name)) continue;
    const timing = await stage
      .with(peer, {}, (running) => timeOnce(stage, running, { cell, peer, round, seconds }))
      .catch(messageOf);
    if (typeof timing === 'string') {
      refused.set(peer.name, { cell: cell.name, peer: peer.name, reason: timing });
      say(`${cell.name}: ${peer.name} is NOT TIMED: ${timing}`);
    } else {
      timings.set(peer.name, [...(timings.get(peer.name) ?? []), timing]);
      const line = `${cell.name}: ${peer.name} ${timing.requestsPerBusyS} requests per busy second (round ${round + 1})`;
      say(line + warningOf(timing.foreignShare));
    }
  }
  const results = [...timings].map(([peer, of]) => ({
    cell: cell.name,
    peer,
    requestsPerBusyS: roundedSpread(spreadOf(of.map((one) => one.requestsPerBusyS))),
    bytesPerBusyS: roundedSpread(spreadOf(of.map((one) => one.bytesPerBusyS))),
    timings: of,
  }));
  return { results, refused: [...refused.values()] };
}

type Once = { cell: Cell; peer: Peer; round: number; seconds: number };

/** @returns why it was not timed, or the timing */
async function timeOnce(
  stage: Stage,
  running: RunningPeer,
  { cell, peer, round, seconds }: Once,
): Promise<Timing | string> {
  const base = running.bases[cell.protocol];
  if (base === undefined) return `it does not speak ${cell.protocol}`;
  const client = gateClient(base, cell.protocol);
  try {
    const fault = await gate(client, cell.object, peer.isCache, async () => (await stage.asked()).requests);
    if (fault !== null) return fault;
  } catch (thrown) {
    return `it fails the gate: ${String(thrown)}`;
  } finally {
    client.close();
  }
  const load = { url: base + cell.object.path, connections: cell.object.connections };
  const isH2 = cell.protocol === 'h2';
  const perS = await warmUp(isH2, { ...load, seconds: Math.max(1, Math.ceil(seconds / 4)) });
  await stage.asked();
  const used = watchCpu(SERVER_CORE, CLIENT_CORE, running.pids);
  const report = await applyLoad(isH2, { ...load, seconds, perS });
  return timingOf(report, used(), round, (await stage.asked()).requests);
}

/** @returns the reason when the load met errors: such a figure would be worth nothing */
export function timingOf(report: LoadReport, use: CpuUse, round: number, originRequests: number): Timing | string {
  if (report.errors > 0) return `${report.errors} errors in ${report.requests} requests`;
  if (use.busyS <= 0 || report.requests === 0) return 'nothing was measured';
  return {
    round,
    requests: report.requests,
    seconds: rounded(use.wallS),
    busyS: use.busyS,
    serverS: use.serverS,
    foreignShare: foreignShareOf(use),
    requestsPerBusyS: rounded(report.requests / use.busyS),
    bytesPerBusyS: rounded(report.bytes / use.busyS),
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    clientShare: rounded(use.clientShare),
    stealS: use.stealS,
    originRequests,
    errors: report.errors,
  };
}

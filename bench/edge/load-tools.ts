// wrk for HTTP/1.1 and h2load for HTTP/2: started for one address, their reports read.
import { execFile } from 'node:child_process';

/** `bytes` with headers, as the tools count them. */
export type LoadReport = {
  requests: number;
  bytes: number;
  errors: number;
  p50Ms: number;
  p99Ms: number | null;
  /** Requests per second by the tool's clock. */
  perS: number;
};

/** @property perS what an earlier load of the kind reached; null: not known */
export type Load = { url: string; seconds: number; connections: number; perS: number | null };

/** Streams at a time on each HTTP/2 connection. */
export const STREAMS = 10;

export const wrkArgs = ({ url, seconds, connections }: Load): string[] => [
  '-t1',
  `-c${connections}`,
  `-d${seconds}s`,
  '--latency',
  url,
];
/**
 * h2load is told a number of requests that will take about the time: told the time, it waits for ever for a server that leaves
 * the closing of a session to its client, as node:http2 does.
 */
export const h2loadArgs = ({ url, seconds, connections, perS }: Load): string[] => {
  const atLeast = connections * STREAMS;
  return ['-t1', `-c${connections}`, `-m${STREAMS}`, `-n${Math.max(atLeast, Math.ceil((perS ?? 0) * seconds))}`, url];
};

/** A tool that runs this much longer than thrice what it was told to hangs. Unit: s. */
const LONGER_S = 20;

const SIZES: Record<string, number> = { B: 1, K: 1_024, M: 1_024 ** 2, G: 1_024 ** 3, T: 1_024 ** 4 };
/** Units of durations in both reports. Unit: ms. */
const DURATIONS: Record<string, number> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

const durationMs = (text: string | undefined): number | null => {
  const found = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '');
  return found === null ? null : Number(found[1]) * (DURATIONS[found[2] ?? ''] ?? 1);
};

/**
 * Reads what `wrk --latency` prints.
 * @throws Error when it is no report
 */
export function parseWrk(text: string): LoadReport {
  const total = /(\d+) requests in [\d.]+\w+, ([\d.]+)([KMGT]?)B read/.exec(text);
  if (total === null) throw new Error(`no report of wrk: ${text.slice(-500)}`);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const statuses = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  return {
    requests: Number(total[1]),
    bytes: Number(total[2]) * (SIZES[total[3] || 'B'] ?? 1),
    errors: sockets.reduce((sum, count) => sum + Number(count), statuses),
    p50Ms: durationMs(/^\s+50%\s+(\S+)/m.exec(text)?.[1]) ?? 0,
    p99Ms: durationMs(/^\s+99%\s+(\S+)/m.exec(text)?.[1]),
    perS: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0),
  };
}

/**
 * Reads what h2load prints. It tells no percentile: the mean stands for the median.
 * @throws Error when it is no report
 */
export function parseH2load(text: string): LoadReport {
  const total = /requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(
    text,
  );
  const traffic = /traffic: [\d.]+\w+ \((\d+)\) total/.exec(text);
  if (total === null || traffic === null) throw new Error(`no report of h2load: ${text.slice(-500)}`);
  const others = /status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(text)?.slice(1) ?? [];
  const statuses = others.reduce((sum, count) => sum + Number(count), 0);
  return {
    requests: Number(total[3]),
    bytes: Number(traffic[1]),
    errors: Math.max(Number(total[4]), statuses),
    p50Ms: durationMs(/time for request:\s+\S+\s+\S+\s+(\S+)/.exec(text)?.[1]) ?? 0,
    p99Ms: null,
    perS: Number(/finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(text)?.[1] ?? 0),
  };
}

/**
 * Runs the tool that speaks the protocol.
 * @throws Error with its last words when it fails or does not end
 */
export async function applyLoad(isH2: boolean, load: Load): Promise<LoadReport> {
  const [program, args] = isH2 ? ['h2load', h2loadArgs(load)] : ['wrk', wrkArgs(load)];
  const limitMs = (load.seconds * 3 + LONGER_S) * 1_000;
  const { text, fault } = await new Promise<{ text: string; fault: Error | null }>((done) => {
    execFile(program, args, { timeout: limitMs }, (fault, stdout, stderr) => done({ text: stdout + stderr, fault }));
  });
  if (fault !== null) throw new Error(`${program} failed: ${text.slice(-300)}`, { cause: fault });
  return isH2 ? parseH2load(text) : parseWrk(text);
}

/**
 * Load that nobody times: compilers and page cache settle, and what the server can do becomes known.
 * @returns requests per second
 */
export async function warmUp(isH2: boolean, load: Omit<Load, 'perS'>): Promise<number> {
  const { perS } = await applyLoad(isH2, { ...load, perS: null });
  return isH2 ? (await applyLoad(isH2, { ...load, perS })).perS : perS;
}

// wrk for HTTP/1.1 and h2load for HTTP/2: started for one address, their reports read.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** `bytes` with headers, as the tools count them. */
export type LoadReport = { requests: number; bytes: number; errors: number; p50Ms: number; p99Ms: number | null };

export type Load = { url: string; seconds: number; connections: number };

/** Streams at a time on each HTTP/2 connection. */
export const STREAMS = 10;

export const wrkArgs = ({ url, seconds, connections }: Load): string[] => [
  '-t1',
  `-c${connections}`,
  `-d${seconds}s`,
  '--latency',
  url,
];
export const h2loadArgs = ({ url, seconds, connections }: Load): string[] => [
  '-t1',
  `-c${connections}`,
  `-m${STREAMS}`,
  `-D${seconds}`,
  url,
];

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
  };
}

/** Runs the tool that speaks the protocol. */
export async function applyLoad(isH2: boolean, load: Load): Promise<LoadReport> {
  const [program, args] = isH2 ? ['h2load', h2loadArgs(load)] : ['wrk', wrkArgs(load)];
  const limit = { timeout: (load.seconds + 20) * 1_000, maxBuffer: 1_000_000 };
  const { stdout } = await run(program, args, limit);
  return isH2 ? parseH2load(stdout) : parseWrk(stdout);
}

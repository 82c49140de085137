// CPU time as the kernel counts it: of one core, and of the processes of one server. Source: proc(5).
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, fixed by the kernel's interface on every common platform. Unit: ticks per second. */
const TICKS_PER_S = 100;

export type CoreTicks = {
  busy: number;
  /** Of `busy`: what programs did, interrupts left out. */
  programs: number;
  steal: number;
  total: number;
};

/**
 * The line of one core in /proc/stat. Busy: user, nice, system, irq, softirq; waiting for I/O and stolen time are not.
 * @throws Error when the core is not listed
 */
export function parseCoreTicks(stat: string, core: number): CoreTicks {
  const line = stat.split('\n').find((text) => text.startsWith(`cpu${core} `));
  if (line === undefined) throw new Error(`no core ${core} in /proc/stat`);
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const programs = user + nice + system;
  const busy = programs + irq + softirq;
  return { busy, programs, steal, total: busy + idle + iowait + steal };
}

/** utime + stime of one process out of /proc/{pid}/stat, and its parent. Its name may hold anything, parentheses included. */
export function parseProcess(stat: string): { parent: number; ticks: number } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
}

/** A process and all its descendants. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = readProcess(Number(name))?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** CPU time of these processes so far. Unit: s. */
export const processSeconds = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + (readProcess(pid)?.ticks ?? 0), 0) / TICKS_PER_S;

/** Memory of these processes, what they share counted once. Unit: bytes. */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const kib = /^Pss:\s+(\d+) kB/m.exec(readProc(`${pid}/smaps_rollup`))?.[1];
    return sum + Number(kib ?? 0) * 1_024;
  }, 0);
}

function readProcess(pid: number): { parent: number; ticks: number } | null {
  const text = readProc(`${pid}/stat`);
  return text === '' ? null : parseProcess(text);
}

/** Empty when the process is gone meanwhile. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}

export type CpuUse = {
  /** Wall time. Unit: s. */
  wallS: number;
  /** Of the servers' core. Unit: s. */
  busyS: number;
  /** Of `busyS`, interrupts left out: many kernels charge no process with them. Unit: s. */
  programsS: number;
  /** Of the server's processes alone, on whichever core. Unit: s. */
  serverS: number;
  /** Of the clients' core, 0..1. */
  clientShare: number;
  /** Taken by the host from the servers' core. Unit: s. */
  stealS: number;
};

/** Share of the servers' core's busy time that was another program's, 0..1. */
export const foreignShareOf = ({ busyS, programsS, serverS }: CpuUse): number =>
  busyS <= 0 ? 0 : Number((Math.max(0, programsS - serverS) / busyS).toFixed(3));

/** What a machine does by itself stays below. */
const QUIET_SHARE = 0.1;

/** A line's end that nobody overlooks; empty when the core was the server's alone. */
export const warningOf = (foreignShare: number): string =>
  foreignShare <= QUIET_SHARE ? '' : `; WORTH NOTHING: ${Math.round(foreignShare * 100)} % of its core went elsewhere`;

/**
 * Begins to count.
 * @param pids of the server
 * @returns what was used until the call
 */
export function watchCpu(serverCore: number, clientCore: number, pids: () => readonly number[]): () => CpuUse {
  const read = () => {
    const stat = readFileSync('/proc/stat', 'utf8');
    return {
      atMs: performance.now(),
      server: parseCoreTicks(stat, serverCore),
      client: parseCoreTicks(stat, clientCore),
      seconds: processSeconds(pids()),
    };
  };
  const before = read();
  return () => {
    const after = read();
    const clientTotal = after.client.total - before.client.total;
    return {
      wallS: (after.atMs - before.atMs) / 1_000,
      busyS: (after.server.busy - before.server.busy) / TICKS_PER_S,
      programsS: (after.server.programs - before.server.programs) / TICKS_PER_S,
      serverS: after.seconds - before.seconds,
      clientShare: clientTotal === 0 ? 0 : (after.client.busy - before.client.busy) / clientTotal,
      stealS: (after.server.steal - before.server.steal) / TICKS_PER_S,
    };
  };
}

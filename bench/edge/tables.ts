// The result as Markdown tables: one line per cell or workload, one column per server.
import type { CellResult } from './cells.ts';
import type { Spread } from './rounds.ts';
import type { WorkloadResult } from './workloads.ts';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/** 12345 -> `12.3k`. */
const short = (value: number): string =>
  value >= 10_000 ? `${Number((value / 1_000).toPrecision(3))}k` : String(Number(value.toPrecision(3)));

const told = ({ median, least, most }: Spread): string =>
  least === most ? short(median) : `${short(median)} (${short(least)}-${short(most)})`;

/** Requests per busy second, and gigabits of answers in brackets for what is large. */
export function cellTable(results: readonly CellResult[]): string {
  const peers = [...new Set(results.map((result) => result.peer))];
  const cells = [...new Set(results.map((result) => result.cell))];
  const rows = cells.map((cell) => [
    cell,
    ...peers.map((peer) => {
      const result = results.find((one) => one.cell === cell && one.peer === peer);
      if (result === undefined) return '-';
      const gigabits = (result.bytesPerBusyS.median * 8) / 1e9;
      return `${told(result.requestsPerBusyS)}${gigabits >= 5 ? `, ${gigabits.toFixed(1)} Gb/s` : ''}`;
    }),
  ]);
  return table(['requests per busy second', ...peers], rows);
}

export function workloadTable(results: readonly WorkloadResult[]): string {
  const head = [
    'workload',
    'viewers',
    'server',
    'viewers per core',
    'late',
    'errors',
    'coalescing',
    'media p99',
    'origin bytes',
    'last viewer: playlist p99',
    'last viewer: part p99',
  ];
  const ms = (value: number | null | undefined): string =>
    value === null || value === undefined ? '-' : `${value} ms`;
  const rows = results.map(({ workload, viewers, peer, viewersPerCore, late, errors, runs }) => {
    const last = runs.at(-1);
    return [
      workload,
      String(viewers),
      peer,
      told(viewersPerCore),
      String(late),
      String(errors),
      String(last?.coalescing ?? '-'),
      last?.aroundKill
        ? `${ms(last.aroundKill.before.p99)}, then ${ms(last.aroundKill.after.p99)}`
        : ms(last?.mediaMs.p99),
      String(last?.originByteShare ?? '-'),
      ms(last?.lastViewerMs?.playlist.p99),
      ms(last?.lastViewerMs?.part.p99),
    ];
  });
  return table(head, rows);
}

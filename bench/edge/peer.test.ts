import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { timingOf } from './cells.ts';
import { filled } from './peer.ts';
import { cellTable } from './tables.ts';

it('a template gets its values, and a name without one is an error', () => {
  expect(filled('listen {{port}};', { port: 80 })).toBe('listen 80;');
  expect(() => filled('listen {{port}};', {})).toThrow(/port/);
});

it('no configuration names a machine or a user of ours', () => {
  const files = readdirSync('bench/edge/peers', { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  expect(files.length).toBeGreaterThan(5);
  for (const file of files)
    expect(readFileSync(`${file.parentPath}/${file.name}`, 'utf8')).not.toMatch(/\/(?:home|tmp)\//);
});

const USE = { wallS: 10, busyS: 5, programsS: 4.9, serverS: 4.9, clientShare: 0.5, stealS: 0 };

it('a rate is per second that the core was busy, whatever the wall clock says', () => {
  const timing = timingOf({ requests: 50_000, bytes: 5e9, errors: 0, p50Ms: 1, p99Ms: 2, perS: 5_000 }, USE, 0, 3);
  expect(timing).toMatchObject({ requestsPerBusyS: 10_000, bytesPerBusyS: 1e9, originRequests: 3 });
});

it('a load that met errors gives no figure', () => {
  expect(timingOf({ requests: 50_000, bytes: 5e9, errors: 2, p50Ms: 1, p99Ms: 2, perS: 5_000 }, USE, 0, 0)).toMatch(
    /2 errors/,
  );
  expect(timingOf({ requests: 0, bytes: 0, errors: 0, p50Ms: 1, p99Ms: 2, perS: 5_000 }, USE, 0, 0)).toMatch(/nothing/);
});

it('the table has a column per server and a dash for what was not measured', () => {
  const spread = (median: number) => ({ median, least: median, most: median + 1_000 });
  const result = (cell: string, peer: string, median: number) => ({
    cell,
    peer,
    requestsPerBusyS: spread(median),
    bytesPerBusyS: spread(2e9),
    timings: [],
  });
  const table = cellTable([result('part-plain', 'a', 12_345), result('part-tls', 'b', 900)]);
  expect(table.split('\n')).toEqual([
    '| requests per busy second | a | b |',
    '| --- | --- | --- |',
    '| part-plain | 12.3k (12.3k-13.3k), 16.0 Gb/s | - |',
    '| part-tls | - | 900 (900-1900), 16.0 Gb/s |',
  ]);
});

// `npm run bench:edge`: our edge, nginx, Varnish and Traffic Server on one core each in turn, clients and origins on the other.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { allCells, type CellResult, measureCell, type Refusal, writeObjects } from './edge/cells.ts';
import { headwater } from './edge/headwater.ts';
import { nginx, nginxStatic } from './edge/nginx.ts';
import type { Peer } from './edge/peer.ts';
import { CLIENT_CORE, moveToClientCore, SERVER_CORE, versionOf } from './edge/processes.ts';
import { isChosen, meaningless } from './edge/rounds.ts';
import { sendfileLoop } from './edge/sendfile.ts';
import { Stage } from './edge/stage.ts';
import { cellTable, workloadTable } from './edge/tables.ts';
import { trafficServer } from './edge/traffic-server.ts';
import { varnish } from './edge/varnish.ts';
import { measureWorkload, type WorkloadFailure, type WorkloadResult, workloads } from './edge/workloads.ts';
import { ground, keepResult } from './support/report.ts';

const PEERS: readonly Peer[] = [headwater, nginx, varnish, trafficServer, nginxStatic, sendfileLoop];
const CELL_SECONDS = 10;
const CELL_ROUNDS = 3;
const WORKLOAD_ROUNDS = 1;

const HELP = `options:
  --cells all        names or words of: ${allCells()
    .map(({ name }) => name)
    .join(' ')}; none
  --workloads all    ${workloads.map(({ name }) => name).join(' ')}; none
  --peers all        ${PEERS.map(({ name }) => name).join(' ')}
  --seconds n        of each timing (cells ${CELL_SECONDS}, workloads 15 to 30; a crowd takes 10 to come)
  --rounds n         timings of each (cells ${CELL_ROUNDS}, workloads ${WORKLOAD_ROUNDS})
  --viewers a,b      sizes of the workloads
  --env NAME=value   further setting of our edge; may be repeated
  --json             the last line is the result as one JSON object
  --keep             writes bench/results/edge.json`;

type Options = ReturnType<typeof readOptions>;

/** @param args command line without the program */
export async function main(args: string[]): Promise<void> {
  const options = readOptions(args);
  const fault = options.isHelp ? HELP : whyNot(options);
  if (fault !== null) {
    process.stderr.write(`${fault}\n`);
    process.exitCode = options.isHelp ? 0 : 1;
    return;
  }
  // Ends through the exit handlers, which leave no server behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  moveToClientCore();
  const say = (line: string) => (options.isJson ? process.stderr : process.stdout).write(`${line}\n`);
  const { peers, missing } = installed(options.peers, say);
  const commands: Record<string, string> = {};
  const { cells, refused } = await runCells(options, peers, commands, say);
  const { viewed, failed } = await runWorkloads(options, peers, commands, say);
  const command = `npm run bench:edge -- ${args.filter((arg) => arg !== '--json').join(' ')}`.trim();
  const result = {
    bench: 'edge',
    at: new Date().toISOString(),
    command,
    ...ground(),
    servers: Object.fromEntries(peers.map((peer) => [peer.name, peer.version()])),
    tools: { wrk: toolVersions.wrk(), h2load: toolVersions.h2load() },
    cores: { server: SERVER_CORE, clients: CLIENT_CORE },
    commands,
    // Not zero: receiving packets runs on other cores than the protocol assumes.
    receive_steering: readFileSync('/sys/class/net/lo/queues/rx-0/rps_cpus', 'utf8').trim(),
    missing,
    refused,
    failed,
    cells,
    workloads: viewed,
  };
  if (cells.length > 0) say(`\n${cellTable(cells)}`);
  if (viewed.length > 0) say(`\n${workloadTable(viewed)}`);
  if (options.isKept) say(`kept in ${await keepResult('edge', result)}`);
  if (options.isJson) process.stdout.write(`${JSON.stringify(result)}\n`);
}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      cells: { type: 'string', default: 'all' },
      workloads: { type: 'string', default: 'all' },
      peers: { type: 'string', default: 'all' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      viewers: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const numberOf = (text: string | undefined): number | null => (text === undefined ? null : Math.max(1, Number(text)));
  return {
    cells: values.cells,
    workloads: values.workloads,
    peers: values.peers,
    seconds: numberOf(values.seconds),
    rounds: numberOf(values.rounds),
    viewers: values.viewers === undefined ? null : values.viewers.split(',').map(Number),
    env: Object.fromEntries(
      values.env.map((item) => [item.slice(0, item.indexOf('=')), item.slice(item.indexOf('=') + 1)]),
    ),
    isJson: values.json,
    isKept: values.keep,
    isHelp: values.help,
  };
}

const toolVersions = {
  taskset: () => versionOf('taskset', ['--version'], /(\d+\.\d+\S*)/),
  wrk: () => versionOf('wrk', ['--version'], /wrk (?:debian\/)?(\S+)/),
  h2load: () => versionOf('h2load', ['--version'], /nghttp2\/(\S+)/),
};

/** What keeps the bench from running at all. */
function whyNot({ cells, workloads: views, peers }: Options): string | null {
  if (cpus().length < 2) return 'two cores are needed: one for the server, one for everybody else';
  if (toolVersions.taskset() === null) return 'taskset is missing: apt-get install util-linux';
  const namesOf = (items: readonly { name: string }[]) => items.map(({ name }) => name);
  const unknown = [
    ...meaningless(cells, namesOf(allCells())),
    ...meaningless(views, namesOf(workloads)),
    ...meaningless(peers, namesOf(PEERS)),
  ];
  return unknown.length === 0 ? null : `nothing is called ${unknown.join(', ')}\n${HELP}`;
}

/** The chosen servers that are there; the others are named loudly. */
function installed(choice: string, say: (line: string) => void): { peers: Peer[]; missing: Record<string, string> } {
  const names = choice.split(',').map((name) => name.trim());
  const chosen = PEERS.filter(({ name }) => choice === 'all' || names.includes(name));
  const missing: Record<string, string> = {};
  for (const peer of chosen) {
    if (peer.version() !== null) continue;
    missing[peer.name] = peer.wants;
    say(`MISSING: ${peer.name} is skipped; to have it: ${peer.wants}`);
  }
  return { peers: chosen.filter((peer) => !(peer.name in missing)), missing };
}

async function runCells(
  options: Options,
  peers: readonly Peer[],
  commands: Record<string, string>,
  say: (line: string) => void,
): Promise<{ cells: CellResult[]; refused: Refusal[] }> {
  const results: CellResult[] = [];
  const refused: Refusal[] = [];
  const chosen = allCells().filter((cell) => isChosen(cell.name, options.cells));
  if (chosen.length === 0) return { cells: results, refused };
  const stage = await Stage.open({ origins: 1, env: options.env });
  try {
    await writeObjects(stage.www);
    for (const cell of chosen) {
      const tool = cell.protocol === 'h2' ? 'h2load' : 'wrk';
      if (toolVersions[tool]() === null) {
        say(`MISSING: ${cell.name} is skipped; to have it: apt-get install wrk nghttp2-client`);
        continue;
      }
      const able = peers.filter((peer) => peer.speaks.includes(cell.protocol));
      const measured = await measureCell(
        stage,
        cell,
        able,
        { seconds: options.seconds ?? CELL_SECONDS, rounds: options.rounds ?? CELL_ROUNDS },
        say,
      );
      results.push(...measured.results);
      refused.push(...measured.refused);
    }
    for (const [peer, command] of stage.commands) commands[peer] = command;
  } finally {
    await stage.close();
  }
  return { cells: results, refused };
}

async function runWorkloads(
  options: Options,
  peers: readonly Peer[],
  commands: Record<string, string>,
  say: (line: string) => void,
): Promise<{ viewed: WorkloadResult[]; failed: WorkloadFailure[] }> {
  const viewed: WorkloadResult[] = [];
  const failed: WorkloadFailure[] = [];
  const caches = peers.filter((peer) => peer.isCache);
  for (const workload of workloads.filter(({ name }) => isChosen(name, options.workloads))) {
    const measured = await measureWorkload(
      workload,
      caches,
      {
        levels: options.viewers ?? workload.levels,
        seconds: options.seconds ?? workload.seconds,
        rounds: options.rounds ?? WORKLOAD_ROUNDS,
        env: options.env,
        started: (peer, command) => {
          commands[peer] = command;
        },
      },
      say,
    );
    viewed.push(...measured.results);
    failed.push(...measured.failed);
  }
  return { viewed, failed };
}

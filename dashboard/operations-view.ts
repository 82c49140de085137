// Jobs with cancel and retry, and the nodes of the platform with their load.
import type { Overview, OverviewJob, OverviewNode } from '../platform/contract/overview.ts';
import type { Api } from './api-client.ts';
import { button, byId, el, keyedList, type Row, setAttributes, setText } from './dom.ts';
import { attempt, confirmed } from './feedback.ts';
import { formatAge, formatBytes } from './format.ts';

const NEWEST_JOBS = 20;

/** Names of the things jobs work on. */
type Titles = ReadonlyMap<string, string>;

const isOver = (job: OverviewJob): boolean => ['completed', 'failed', 'cancelled'].includes(job.state);

/** Running and waiting jobs first, each group newest first. */
export function jobsInOrder(jobs: readonly OverviewJob[]): OverviewJob[] {
  const rank = (job: OverviewJob): number => (job.state === 'active' ? 0 : isOver(job) ? 2 : 1);
  return [...jobs].sort((a, b) => rank(a) - rank(b) || b.created_at - a.created_at).slice(0, NEWEST_JOBS);
}

/** Returns what takes newer jobs. */
export function createJobsView(api: Api): (overview: Overview) => void {
  let titles: Titles = new Map();
  const fill = keyedList<OverviewJob>(
    byId('jobs'),
    (job) => `${job.queue}/${job.id}`,
    (job) => jobRow(api, job, () => titles),
  );
  return (overview) => {
    titles = new Map([
      ...overview.assets.map((asset) => [asset.id, asset.title || 'Video'] as const),
      ...overview.streams.flatMap((stream) =>
        stream.broadcast_id === null ? [] : [[stream.broadcast_id, stream.title || 'Live stream'] as const],
      ),
    ]);
    fill(jobsInOrder(overview.jobs));
    byId('jobs-empty').hidden = overview.jobs.length > 0;
  };
}

function jobRow(api: Api, first: OverviewJob, titles: () => Titles): Row<OverviewJob> {
  let current = first;
  let name = '';
  const title = el('span', { class: 'row-title' });
  const status = el('span', { class: 'pill' });
  const bar = el('progress', { max: '100', value: '0' });
  const facts = el('p', { class: 'row-facts' });
  const cancel = button('Cancel', 'quiet', async () => {
    const isSure = await confirmed(
      `Cancel the job on “${name}”?`,
      'What it has finished so far is kept.',
      'Cancel job',
    );
    if (isSure) await attempt(() => api.cancelJob(current.queue, current.id), 'Job is being cancelled');
  });
  const retry = button('Retry', 'quiet', async () => {
    await attempt(() => api.retryJob(current.queue, current.id), 'Job is tried again');
  });
  const root = el(
    'li',
    { class: 'row' },
    el('div', { class: 'row-main' }, el('p', { class: 'row-head' }, status, title), bar, facts),
    el('div', { class: 'row-actions' }, cancel, retry),
  );
  const update = (job: OverviewJob): void => {
    current = job;
    name = titles().get(job.asset_id ?? job.broadcast_id ?? '') ?? (job.queue === 'live' ? 'Live stream' : 'Video');
    setText(title, name);
    setText(status, job.state);
    status.className = `pill pill-${job.state}`;
    bar.hidden = job.state !== 'active' || job.percent === null;
    bar.value = job.percent ?? 0;
    setAttributes(bar, { 'aria-label': `Progress of the job on ${name}` });
    setText(facts, jobFacts(job, Date.now()));
    cancel.hidden = isOver(job) || job.queue === 'live';
    retry.hidden = !['failed', 'cancelled'].includes(job.state) || job.queue === 'live';
    cancel.setAttribute('aria-label', `Cancel the job on ${name}`);
    retry.setAttribute('aria-label', `Retry the job on ${name}`);
  };
  return { root, update };
}

/** One line about a job. */
export function jobFacts(job: OverviewJob, now: number): string {
  const parts = [job.queue === 'live' ? 'Live' : 'Upload'];
  if (job.state === 'active' && job.step !== 'active') parts.push(job.step);
  if (job.state === 'active' && job.percent !== null) parts.push(`${Math.floor(job.percent)} %`);
  if (job.attempts > 1) parts.push(`attempt ${job.attempts}`);
  if (job.error !== null && job.state !== 'completed') parts.push(job.error);
  parts.push(`${formatAge(job.created_at, now)} ago`);
  return parts.join(' · ');
}

/** Returns what takes newer nodes. */
export function createNodesView(api: Api): (nodes: readonly OverviewNode[]) => void {
  return keyedList<OverviewNode>(
    byId('nodes'),
    (node) => node.id,
    (node) => nodeRow(api, node),
  );
}

const addressOf = (node: OverviewNode): string => (node.public_url ?? node.url).replace(/^https?:\/\//, '');

function nodeRow(api: Api, first: OverviewNode): Row<OverviewNode> {
  let current = first;
  const role = el('strong', {});
  const dot = el('span', { class: 'dot', 'aria-hidden': 'true' });
  const state = el('span', { class: 'node-state' });
  const address = el('p', { class: 'node-address' });
  const load = el('p', { class: 'row-facts' });
  const drain = button('Drain', 'quiet node-action', async () => {
    const isSure = await confirmed(
      `Drain the edge ${addressOf(current)}?`,
      'Its viewers are led to the other edges within seconds. It stays drained, also when it restarts, until you undrain it.',
      'Drain',
    );
    if (isSure) await attempt(() => api.orderEdge(current.id, 'drain'), 'The edge is being drained');
  });
  const undrain = button('Undrain', 'quiet node-action', async () => {
    await attempt(() => api.orderEdge(current.id, 'undrain'), 'The edge takes viewers again');
  });
  const head = el('p', { class: 'node-head' }, dot, role, state);
  const root = el('li', { class: 'node' }, head, address, load, drain, undrain);
  const update = (node: OverviewNode): void => {
    current = node;
    setText(role, node.role);
    setText(state, nodeState(node));
    dot.className = `dot dot-${node.state}`;
    setText(address, addressOf(node));
    setText(load, [...nodeLoads(node.load), `up ${formatAge(node.started_at, Date.now())}`].join(' · '));
    drain.hidden = node.role !== 'edge' || node.state !== 'healthy';
    undrain.hidden = !node.is_drained;
    drain.setAttribute('aria-label', `Drain the edge ${addressOf(node)}`);
    undrain.setAttribute('aria-label', `Undrain the edge ${addressOf(node)}`);
  };
  return { root, update };
}

/** `drained` by an operator's order, until it is taken back; `draining` while the process ends. */
export const nodeState = (node: Pick<OverviewNode, 'state' | 'is_drained'>): string =>
  node.is_drained ? 'drained' : node.state;

/** Small gauges of a node as words; those that count bytes with their unit. */
export function nodeLoads(load: Record<string, number>): string[] {
  return Object.entries(load).map(([name, value]) => {
    const words = name.replaceAll('_', ' ');
    return words.endsWith(' bytes') ? `${words.slice(0, -6)} ${formatBytes(value)}` : `${words} ${round(value)}`;
  });
}

const round = (value: number): string => String(Math.round(value * 100) / 100);

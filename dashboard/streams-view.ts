// Live streams: making one, and the list with status, viewers and bit rate.
import type { OverviewStream } from '../platform/contract/overview.ts';
import type { Api } from './api-client.ts';
import { button, byId, el, keyedList, type Row, setAttributes, setText } from './dom.ts';
import { attempt, confirmed } from './feedback.ts';
import { formatBitrate, plural } from './format.ts';
import { showStreamKey } from './stream-key.ts';

const STATUS: Record<OverviewStream['status'], string> = { idle: 'Idle', active: 'Live', disabled: 'Disabled' };

/** Wires the form and returns what takes newer lists. */
export function createStreamsView(api: Api): (streams: readonly OverviewStream[]) => void {
  const form = byId('stream-form');
  if (form instanceof HTMLFormElement) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void createFrom(api, form);
    });
  }
  const fill = keyedList<OverviewStream>(
    byId('streams'),
    (stream) => stream.id,
    (stream) => streamRow(api, stream),
  );
  return (streams) => {
    fill(streams);
    byId('streams-empty').hidden = streams.length > 0;
  };
}

async function createFrom(api: Api, form: HTMLFormElement): Promise<void> {
  const values = new FormData(form);
  const submit = form.querySelector('button');
  if (submit) submit.disabled = true;
  await attempt(async () => {
    const made = await api.createStream({
      title: String(values.get('title') ?? '').trim(),
      latency_mode: String(values.get('latency') ?? 'default'),
      playback_policies: [String(values.get('policy') ?? 'public')],
    });
    form.reset();
    showStreamKey(made);
  });
  if (submit) submit.disabled = false;
}

function streamRow(api: Api, first: OverviewStream): Row<OverviewStream> {
  let current = first;
  const title = el('span', { class: 'row-title' });
  const status = el('span', { class: 'pill' });
  const facts = el('p', { class: 'row-facts' });
  const watch = el('a', { class: 'quiet', target: '_blank', rel: 'noopener' }, 'Watch');
  const nameOf = (): string => current.title || 'Live stream';
  const reset = button('Reset key', 'quiet', async () => {
    const isSure = await confirmed(
      `Reset the key of “${nameOf()}”?`,
      'The present key stops working at once, and whoever is publishing with it is cut off.',
      'Reset key',
    );
    if (isSure) await attempt(async () => showStreamKey(await api.resetKey(current.id)));
  });
  const remove = button('Delete', 'quiet risky', async () => {
    const isSure = await confirmed(
      `Delete “${nameOf()}”?`,
      'Its publisher is cut off and its watch page stops working. This cannot be undone.',
      'Delete',
    );
    if (isSure) await attempt(() => api.deleteStream(current.id), 'Live stream deleted');
  });
  const root = el(
    'li',
    { class: 'row' },
    el('div', { class: 'row-main' }, el('p', { class: 'row-head' }, status, title), facts),
    el('div', { class: 'row-actions' }, watch, reset, remove),
  );
  const update = (stream: OverviewStream): void => {
    current = stream;
    setText(title, nameOf());
    setText(status, STATUS[stream.status]);
    status.className = `pill pill-${stream.status}`;
    setText(facts, factsOf(stream).join(' · '));
    watch.hidden = stream.watch_url === null;
    setAttributes(watch, { href: stream.watch_url, 'aria-label': `Watch ${nameOf()}` });
    reset.setAttribute('aria-label', `Reset stream key of ${nameOf()}`);
    remove.setAttribute('aria-label', `Delete ${nameOf()}`);
  };
  return { root, update };
}

function factsOf(stream: OverviewStream): string[] {
  const latency = `${stream.latency_mode} latency`;
  if (stream.status !== 'active') return [latency];
  return [plural(stream.viewer_count, 'viewer'), formatBitrate(stream.bitrate) || '0 kbit/s', latency];
}

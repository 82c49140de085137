// Live streams: making one, and the list with status, health of the signal, viewers, renditions.
import type { OverviewStream } from '../platform/contract/overview.ts';
import type { Api } from './api-client.ts';
import { byId, el, keyedList, type Row, setText } from './dom.ts';
import { attempt } from './feedback.ts';
import { formatBitrate, formatRenditions, plural } from './format.ts';
import { createStreamActions, nameOf } from './stream-actions.ts';
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
      transcode: String(values.get('transcode') ?? 'ladder'),
      redundancy: String(values.get('redundancy') ?? 'standby'),
      record: values.get('record') !== null,
    });
    form.reset();
    showStreamKey(made);
  });
  if (submit) submit.disabled = false;
}

function streamRow(api: Api, first: OverviewStream): Row<OverviewStream> {
  const title = el('span', { class: 'row-title' });
  const status = el('span', { class: 'pill' });
  const health = el('span', { class: 'pill' });
  const facts = el('p', { class: 'row-facts' });
  const notes = el('div', { class: 'row-notes' });
  const root = el('li', { class: 'row row-stream' });
  const actions = createStreamActions(api, first, root);
  const summary = el('summary', { class: 'quiet' }, 'More');
  root.append(
    el('div', { class: 'row-main' }, el('p', { class: 'row-head' }, status, health, title), facts, notes),
    el(
      'div',
      { class: 'row-actions' },
      ...actions.main,
      el('details', { class: 'more' }, summary, el('div', { class: 'more-actions' }, ...actions.more)),
    ),
  );
  const update = (stream: OverviewStream): void => {
    actions.update(stream);
    setText(title, nameOf(stream));
    setText(status, STATUS[stream.status]);
    status.className = `pill pill-${stream.status}`;
    health.hidden = stream.status !== 'active' || stream.health === 'unknown';
    setText(health, stream.health === 'starving' ? 'Starving' : 'Healthy');
    health.className = `pill pill-${stream.health}`;
    setText(facts, streamFacts(stream).join(' · '));
    showNotes(notes, streamNotes(stream));
    summary.setAttribute('aria-label', `More about ${nameOf(stream)}`);
  };
  return { root, update };
}

/** Sentences in place; those that stay are not touched, so that a selection in them stays too. */
function showNotes(list: HTMLElement, notes: readonly Note[]): void {
  while (list.children.length > notes.length) list.lastElementChild?.remove();
  for (const [index, { text, kind }] of notes.entries()) {
    const line = list.children[index] ?? list.appendChild(el('p', {}));
    setText(line, text);
    line.className = `note note-${kind}`;
  }
}

export type Note = { text: string; kind: 'bad' | 'warn' };

/** What a person should know or do about a stream, worst first. */
export function streamNotes(stream: OverviewStream): Note[] {
  if (stream.status !== 'active') return [];
  const notes: Note[] = [];
  if (stream.fault !== null) notes.push({ text: `Cannot be shown: ${stream.fault}`, kind: 'bad' });
  if (stream.is_away) notes.push({ text: 'Waiting for the encoder to come back.', kind: 'warn' });
  notes.push(...stream.advice.map((text) => ({ text, kind: 'warn' }) as const));
  if (stream.publishing_key === 'backup') notes.push({ text: 'Shown from the backup encoder.', kind: 'warn' });
  return notes;
}

/** One line of what is known about a stream. */
export function streamFacts(stream: OverviewStream): string[] {
  const settings = [
    `${stream.latency_mode} latency`,
    ...(stream.transcode === 'passthrough' ? ['pass-through'] : []),
    ...(stream.redundancy === 'hot' ? ['two workers'] : []),
    stream.record ? 'recorded' : 'not recorded',
  ];
  if (stream.status !== 'active') return settings;
  return [
    plural(stream.viewer_count, 'viewer'),
    formatBitrate(stream.bitrate) || '0 kbit/s',
    ...(stream.renditions.length > 0 ? [formatRenditions(stream.renditions)] : []),
    ...(stream.lag_s !== null ? [`${stream.lag_s.toFixed(1)} s in encoding`] : []),
    ...settings,
    ...(stream.has_standby ? ['second encoder stands by'] : []),
  ];
}

// The small form that cuts a clip: the last seconds of a live stream, or from and to of a video. It stands in the row it belongs to.
import type { Api, NewClip } from './api-client.ts';
import { button, el, setText } from './dom.ts';
import { attempt, toast } from './feedback.ts';
import { formatDuration, parseSeconds } from './format.ts';

export type ClipSubject = { name: string } & (
  | { kind: 'live'; streamId: string }
  | { kind: 'video'; assetId: string; durationS: number | null }
);

/** Seconds that a clip of a live stream has unless the person says otherwise. */
const LIVE_SECONDS = '30';

/**
 * What the fields say.
 * @returns the clip, or what is wrong in words
 */
export function clipOf(subject: ClipSubject, fields: { from: string; to: string; title: string }): NewClip | string {
  const title = fields.title.trim();
  const named = title === '' ? {} : { title };
  if (subject.kind === 'live') {
    const seconds = parseSeconds(fields.from);
    if (seconds === null || seconds <= 0) return 'Say how many seconds, like 30 or 1:30.';
    return { source: { live_stream_id: subject.streamId }, start: -seconds, end: 0, ...named };
  }
  const start = parseSeconds(fields.from);
  const end = parseSeconds(fields.to);
  if (start === null || end === null) return 'Say from and to as seconds or minutes, like 75 or 1:15.';
  if (end <= start) return 'The clip must end after it begins.';
  return { source: { asset_id: subject.assetId }, start, end, ...named };
}

function labelled(label: string, input: HTMLElement): HTMLElement {
  return el('label', {}, label, input);
}

const timeInput = (value: string): HTMLInputElement =>
  el('input', { type: 'text', inputmode: 'decimal', value, size: '7', autocomplete: 'off' });

/** Puts the form at the end of `row` and moves focus into it; Escape and Cancel take it away and give focus back to `opener`. */
export function openClipForm(api: Api, subject: ClipSubject, row: HTMLElement, opener: HTMLElement): void {
  if (row.querySelector('.clip-form') !== null) return;
  const isLive = subject.kind === 'live';
  const from = timeInput(isLive ? LIVE_SECONDS : '0:00');
  const to = timeInput(isLive ? '' : formatDuration(subject.durationS === null ? 30 : Math.floor(subject.durationS)));
  const title = el('input', {
    type: 'text',
    maxlength: '512',
    placeholder: `Clip of ${subject.name}`,
    autocomplete: 'off',
  });
  const fault = el('p', { class: 'fault', role: 'alert', hidden: true });
  const submit = el('button', { class: 'primary' }, 'Make clip');
  const form = el(
    'form',
    { class: 'clip-form', 'aria-label': `Clip of ${subject.name}` },
    labelled(isLive ? 'Last seconds' : 'From', from),
    isLive ? null : labelled('To', to),
    labelled('Name of the clip', title),
    submit,
  );
  const close = (): void => {
    form.remove();
    opener.focus();
  };
  form.append(button('Cancel', 'quiet', close), fault);
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const clip = clipOf(subject, { from: from.value, to: to.value, title: title.value });
    setText(fault, typeof clip === 'string' ? clip : '');
    fault.hidden = typeof clip !== 'string';
    if (typeof clip === 'string') return;
    submit.disabled = true;
    void attempt(async () => {
      const made = await api.createClip(clip);
      toast(`Clip of ${formatDuration(made.duration)} made: “${made.title}”`);
    }).then((isMade) => {
      submit.disabled = false;
      if (isMade) close();
    });
  });
  row.append(form);
  from.focus();
  from.select();
}

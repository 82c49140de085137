// The panel with Server and Stream key, in the words of OBS. The key is shown here once and nowhere else.
import type { StreamKeyAnswer } from './api-client.ts';
import { button, byId, el } from './dom.ts';
import { copyButton } from './feedback.ts';

function field(label: string, value: string, isSecret: boolean): HTMLElement {
  const input = el('input', {
    type: isSecret ? 'password' : 'text',
    readonly: true,
    value,
    spellcheck: 'false',
    autocomplete: 'off',
    'aria-label': label,
  });
  input.addEventListener('focus', () => input.select());
  const show = isSecret
    ? button('Show', 'quiet', () => {
        const isHidden = input.type === 'password';
        input.type = isHidden ? 'text' : 'password';
        show?.replaceChildren(isHidden ? 'Hide' : 'Show');
      })
    : null;
  return el(
    'div',
    { class: isSecret ? 'key-field' : 'key-field key-plain' },
    el('span', { class: 'key-label', 'aria-hidden': 'true' }, label),
    input,
    show,
    copyButton('Copy', () => input.value, label),
  );
}

/** Shows the panel for a stream that was just made or got a new key, and moves focus to it. */
export function showStreamKey(answer: StreamKeyAnswer): void {
  const panel = byId('stream-key');
  const close = (): void => {
    panel.hidden = true;
    panel.replaceChildren();
  };
  const command = `ffmpeg -re -stream_loop -1 -i video.mp4 -c copy -f flv ${answer.rtmp_url}/${answer.stream_key}`;
  const isBackup = answer.key === 'backup';
  const name = answer.title || 'Live stream';
  const heading = el('h3', { tabindex: '-1' }, isBackup ? `Second encoder of “${name}”` : `Stream to “${name}”`);
  const hint = isBackup
    ? 'Publish from another encoder with this key: it stands by, and takes over when the first one fails. Keep the key now: it is not shown again.'
    : 'In OBS: Settings, Stream, Service “Custom…”. Keep the key now: it is not shown again.';
  panel.replaceChildren(
    heading,
    el('p', { class: 'hint' }, hint),
    field('Server', answer.rtmp_url, false),
    ...(answer.rtmps_url === null ? [] : [field('Server (TLS)', answer.rtmps_url, false)]),
    field(isBackup ? 'Backup stream key' : 'Stream key', answer.stream_key, true),
    el(
      'div',
      { class: 'key-actions' },
      copyButton('Copy as ffmpeg command', () => command, 'ffmpeg command'),
      button('I have kept the key', 'primary', close),
    ),
  );
  panel.hidden = false;
  heading.focus();
}

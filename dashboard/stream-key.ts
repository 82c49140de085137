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
  const heading = el('h3', { tabindex: '-1' }, `Stream to “${answer.title || 'Live stream'}”`);
  panel.replaceChildren(
    heading,
    el('p', { class: 'hint' }, 'In OBS: Settings, Stream, Service “Custom…”. Keep the key now: it is not shown again.'),
    field('Server', answer.rtmp_url, false),
    field('Stream key', answer.stream_key, true),
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

// What stands in the player's place while there is nothing to play: a heading, a sentence, a sign of life.
import type { PlaybackInfo } from '../platform/contract/playback.ts';
import { el, ripple } from './dom.ts';
import { hasPlayer, type View } from './viewer.ts';

type Words = { heading: string; text: string; isWaiting: boolean };

const WORDS: Record<Exclude<View, 'live' | 'ending' | 'video' | 'replay'>, Words> = {
  loading: { heading: '', text: 'Loading', isWaiting: true },
  waiting: {
    heading: 'The stream has not started yet',
    text: 'Stay on this page: it begins here by itself.',
    isWaiting: true,
  },
  ended: {
    heading: 'The live has ended',
    text: 'Thank you for watching. If the stream goes live again, it begins here by itself.',
    isWaiting: false,
  },
  preparing: {
    heading: 'This video is being prepared',
    text: 'It starts here by itself in a moment.',
    isWaiting: true,
  },
  errored: {
    heading: 'This video cannot be played',
    text: 'Its file could not be turned into a video. Whoever uploaded it sees the reason on the status page.',
    isWaiting: false,
  },
  missing: {
    heading: 'There is no video at this address',
    text: 'The link may be wrong, or the video was taken away.',
    isWaiting: false,
  },
  unreachable: {
    heading: 'No connection',
    text: 'The platform does not answer. This page tries again every few seconds.',
    isWaiting: true,
  },
};

/**
 * The notice of a view without a player, with the picture of the thing behind it where there is one.
 * @param onReplay the viewer wants to see an ended live from its beginning
 */
export function notice(
  view: View,
  info: PlaybackInfo | null,
  posterUrl: string | null,
  onReplay: () => void,
): HTMLElement {
  const words = WORDS[hasPlayer(view) ? 'loading' : view];
  return el(
    'div',
    { class: `notice notice-${view}`, role: 'status', 'aria-live': 'polite' },
    posterUrl === null ? null : el('img', { class: 'notice-picture', src: posterUrl, alt: '' }),
    el(
      'div',
      { class: 'notice-body' },
      words.isWaiting ? ripple() : null,
      words.heading === '' ? null : el('h2', {}, words.heading),
      el('p', {}, words.text),
      view === 'waiting' && info?.title ? el('p', { class: 'notice-title' }, info.title) : null,
      view === 'ended' && info?.state === 'ended' ? replayButton(onReplay) : null,
      view === 'missing' ? el('p', {}, el('a', { href: '/' }, 'See what is on')) : null,
    ),
  );
}

function replayButton(onReplay: () => void): HTMLElement {
  const button = el('button', { type: 'button', class: 'replay' }, 'Watch from the start');
  button.addEventListener('click', onReplay);
  return button;
}

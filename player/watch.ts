// The watch page: player, title, description.
import './styles/base.css';
import './styles/player.css';
import './styles/seek.css';
import './styles/overlays.css';
import './styles/notice.css';
import './styles/watch.css';
import { isOn, playbackIdOf } from './address.ts';
import { byId, setText } from './dom.ts';
import { formatAgo, formatDuration } from './format.ts';
import { catchUpRate } from './hls-settings.ts';
import { Session } from './session.ts';
import type { Viewer } from './viewer.ts';
import { expose } from './window.ts';

let last: Viewer | null = null;
const search = new URLSearchParams(location.search);

const session = new Session({
  playbackId: playbackIdOf(location.pathname) ?? '',
  stage: byId('stage'),
  isEmbed: false,
  isAutoplay: search.get('autoplay') !== '0',
  isMuted: isOn(search, 'muted'),
  token: search.get('token'),
  catchUpRate: catchUpRate(search.get('catchup')),
  onChange: describe,
});
expose(() => session.state());
session.start();
setInterval(() => describe(last), 30_000);

function describe(viewer: Viewer | null): void {
  last = viewer;
  const info = viewer?.info ?? null;
  const isLive = viewer?.view === 'live' || viewer?.view === 'ending';
  const title = info?.title || (info === null ? '' : info.kind === 'live' ? 'Live stream' : 'Video');
  setText(byId('title'), title);
  document.title = title === '' ? 'Headwater' : `${isLive ? '● ' : ''}${title} · Headwater`;
  setText(byId('description'), info?.description ?? '');
  byId('badge').hidden = !isLive;
  setText(byId('facts'), viewer === null ? '' : facts(viewer));
  byId('about').hidden = info === null;
  byId('copy').hidden = info === null;
}

function facts(viewer: Viewer): string {
  const { info, view } = viewer;
  if (info === null) return '';
  const parts: string[] = [];
  if (view === 'live' && info.started_at !== null) parts.push(`Started ${formatAgo(info.started_at, Date.now())}`);
  if (view === 'video') {
    parts.push(formatDuration(info.duration_s));
    if (info.started_at !== null) parts.push(formatAgo(info.started_at, Date.now()));
  }
  return parts.filter((part) => part !== '').join(' · ');
}

byId('copy').addEventListener('click', () => void copyLink());

async function copyLink(): Promise<void> {
  const button = byId('copy');
  try {
    await navigator.clipboard.writeText(`${location.origin}${location.pathname}`);
    setText(button, 'Link copied');
  } catch {
    setText(button, 'Copy the address above');
  }
  setTimeout(() => setText(button, 'Copy link'), 2_000);
}

// The home page: public streams on air and videos, as cards that are updated in place.
import './styles/base.css';
import './styles/home.css';
import type { Catalog, PlaybackInfo } from '../platform/contract/playback.ts';
import { pause } from './backoff.ts';
import { byId, el, setText } from './dom.ts';
import { EdgeRing } from './edges.ts';
import { formatAgo, formatDuration } from './format.ts';
import { askCatalog, keepEdgesFresh } from './info.ts';

const REFRESH_MS = 5_000;

type Card = { root: HTMLElement; update(info: PlaybackInfo): void };

const cards = new Map<string, Card>();
const page = new AbortController();
const ring = new EdgeRing(location.origin);
keepEdgesFresh(ring, page.signal);
void follow();

async function follow(): Promise<void> {
  for (;;) {
    const catalog = await askCatalog(ring, page.signal);
    byId('offline').hidden = catalog !== null;
    if (catalog !== null) show(catalog);
    await pause(REFRESH_MS, page.signal);
  }
}

function show(catalog: Catalog): void {
  fill(byId('live'), catalog.live);
  fill(byId('videos'), catalog.videos);
  byId('live-section').hidden = catalog.live.length === 0;
  byId('videos-section').hidden = catalog.videos.length === 0;
  byId('empty').hidden = catalog.live.length + catalog.videos.length > 0;
  byId('loading').hidden = true;
  const ids = new Set([...catalog.live, ...catalog.videos].map((info) => info.playback_id));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.root.remove();
    cards.delete(id);
  }
}

/** Puts the cards in order; a card that is in place already is not touched, so focus stays. */
function fill(list: HTMLElement, infos: PlaybackInfo[]): void {
  for (const [index, info] of infos.entries()) {
    const card = cards.get(info.playback_id) ?? newCard(info);
    cards.set(info.playback_id, card);
    card.update(info);
    if (list.children[index] !== card.root) list.insertBefore(card.root, list.children[index] ?? null);
  }
}

function newCard(first: PlaybackInfo): Card {
  const image = document.createElement('img');
  image.alt = '';
  image.loading = 'lazy';
  image.hidden = true;
  image.addEventListener('error', () => {
    image.hidden = true;
  });
  const badge = el('span', { class: 'badge' }, 'Live');
  const length = el('span', { class: 'length' });
  const title = el('h3', {});
  const facts = el('p', { class: 'facts' });
  const root = el(
    'li',
    {},
    el(
      'a',
      { class: 'card', href: `/watch/${first.playback_id}` },
      el('span', { class: 'picture' }, image, badge, length),
      title,
      facts,
    ),
  );
  const update = (info: PlaybackInfo): void => {
    const isLive = info.kind === 'live';
    showPicture(image, info.poster);
    badge.hidden = !isLive;
    const duration = formatDuration(info.duration_s);
    length.hidden = duration === '';
    setText(length, duration);
    setText(title, info.title || (isLive ? 'Live stream' : 'Video'));
    const ago = info.started_at === null ? '' : formatAgo(info.started_at, Date.now());
    setText(facts, ago === '' ? '' : isLive ? `Started ${ago}` : ago);
  };
  return { root, update };
}

function showPicture(image: HTMLImageElement, poster: string | null): void {
  if (poster === null) {
    image.hidden = true;
    return;
  }
  const address = new URL(poster, `${location.origin}/`).href;
  if (image.dataset['from'] === address) return;
  image.dataset['from'] = address;
  image.src = address;
  image.hidden = false;
}

// Videos: uploads, recordings and clips with status, progress, errors, links, title, clip, delete.
import type { OverviewAsset } from '../platform/contract/overview.ts';
import type { Api } from './api-client.ts';
import { openClipForm } from './clip-form.ts';
import { button, byId, el, keyedList, type Row, setAttributes, setText } from './dom.ts';
import { attempt, confirmed, copyButton } from './feedback.ts';
import { embedCode, formatAge, formatBytes, formatDuration } from './format.ts';

const STEPS: Record<string, string> = {
  waiting: 'Waiting for its upload',
  queued: 'Queued',
  probing: 'Looking at the file',
  transcoding: 'Transcoding',
};

/** Returns what takes newer lists. */
export function createAssetsView(
  api: Api,
  uploads: { isUnderway(assetId: string): boolean },
): (assets: readonly OverviewAsset[]) => void {
  const fill = keyedList<OverviewAsset>(
    byId('assets'),
    (asset) => asset.id,
    (asset) => assetRow(api, asset),
  );
  return (assets) => {
    // What this page is uploading has a row with its progress already.
    fill(assets.filter((asset) => !uploads.isUnderway(asset.id)));
    byId('assets-empty').hidden = assets.length > 0;
  };
}

const nameOf = (asset: OverviewAsset): string => asset.title || 'Video without a title';

/** One line of what is known about a video. */
export function assetFacts(asset: OverviewAsset, now: number): string {
  const parts: string[] = [];
  if (asset.status === 'preparing') {
    const step = STEPS[asset.progress.state] ?? asset.progress.state;
    parts.push(asset.progress.percent > 0 ? `${step} ${Math.floor(asset.progress.percent)} %` : step);
  }
  const source = sourceOf(asset);
  if (source !== null) parts.push(source);
  if (asset.duration_s !== null) parts.push(formatDuration(asset.duration_s));
  if (asset.size_bytes !== null) parts.push(formatBytes(asset.size_bytes));
  parts.push(`${formatAge(asset.created_at, now)} ago`);
  return parts.join(' · ');
}

/** What a recording or clip was made of; null for uploads. */
function sourceOf(asset: OverviewAsset): string | null {
  if (asset.source_type === 'upload') return null;
  const word = asset.source_type === 'live' ? 'Recording' : 'Clip';
  return asset.source_title ? `${word} of ${asset.source_title}` : word;
}

/** Status as one word. */
export function assetStatus(asset: OverviewAsset): { word: string; kind: string } {
  if (asset.status === 'ready') return { word: 'Ready', kind: 'ready' };
  if (asset.status === 'errored') return { word: 'Failed', kind: 'errored' };
  return asset.progress.state === 'waiting'
    ? { word: 'Uploading', kind: 'idle' }
    : { word: 'Preparing', kind: 'preparing' };
}

function picture(): { root: HTMLElement; show(asset: OverviewAsset): void } {
  const image = el('img', { alt: '', loading: 'lazy', hidden: true });
  let shown = '';
  image.addEventListener('error', () => {
    image.hidden = true;
  });
  return {
    root: el('span', { class: 'thumb', 'aria-hidden': 'true' }, image),
    show(asset) {
      if (asset.status !== 'ready' || asset.watch_url === null || asset.playback_id === null) return;
      const address = new URL(`/${asset.playback_id}/thumbnail.jpg`, asset.watch_url).href;
      if (address === shown) return;
      shown = address;
      image.src = address;
      image.hidden = false;
    },
  };
}

function assetRow(api: Api, first: OverviewAsset): Row<OverviewAsset> {
  let current = first;
  const thumb = picture();
  const title = el('span', { class: 'row-title' });
  const status = el('span', { class: 'pill' });
  const bar = el('progress', { max: '100', value: '0' });
  const facts = el('p', { class: 'row-facts' });
  const errors = el('p', { class: 'row-errors' });
  const watch = el('a', { class: 'quiet', target: '_blank', rel: 'noopener' }, 'Watch');
  const embed = copyButton('Embed code', () => embedCode(current.embed_url ?? '', current.title), 'embed code');
  const head = el('p', { class: 'row-head' }, status, title);
  const edit = button('Edit', 'quiet', () => editTitle(api, current, head, edit));
  const remove = button('Delete', 'quiet risky', () => removeAsset(api, current));
  const root = el('li', { class: 'row row-asset' });
  const clip = button('Clip', 'quiet', () => {
    const { id, duration_s } = current;
    openClipForm(api, { kind: 'video', name: nameOf(current), assetId: id, durationS: duration_s }, root, clip);
  });
  root.append(
    thumb.root,
    el('div', { class: 'row-main' }, head, bar, facts, errors),
    el('div', { class: 'row-actions' }, watch, embed, clip, edit, remove),
  );
  const update = (asset: OverviewAsset): void => {
    current = asset;
    thumb.show(asset);
    const { word, kind } = assetStatus(asset);
    setText(title, nameOf(asset));
    setText(status, word);
    status.className = `pill pill-${kind}`;
    bar.hidden = asset.status !== 'preparing' || asset.progress.state === 'waiting';
    bar.value = asset.progress.percent;
    setAttributes(bar, { 'aria-label': `Progress of ${nameOf(asset)}` });
    setText(facts, assetFacts(asset, Date.now()));
    setText(errors, asset.errors?.messages.join('; ') ?? '');
    errors.hidden = asset.errors === null;
    watch.hidden = asset.watch_url === null || !(asset.playable || asset.status === 'ready');
    clip.hidden = asset.status !== 'ready';
    clip.setAttribute('aria-label', `Clip ${nameOf(asset)}`);
    embed.hidden = asset.embed_url === null || asset.status === 'errored';
    setAttributes(watch, { href: asset.watch_url, 'aria-label': `Watch ${nameOf(asset)}` });
    edit.setAttribute('aria-label', `Edit title of ${nameOf(asset)}`);
    remove.setAttribute('aria-label', `Delete ${nameOf(asset)}`);
    embed.setAttribute('aria-label', `Copy embed code of ${nameOf(asset)}`);
  };
  return { root, update };
}

async function removeAsset(api: Api, asset: OverviewAsset): Promise<void> {
  const isSure = await confirmed(
    `Delete “${nameOf(asset)}”?`,
    'The video is removed, and its files with it unless a clip or recording still shows them. This cannot be undone.',
    'Delete',
  );
  if (isSure) await attempt(() => api.deleteAsset(asset.id), 'Video deleted');
}

/** Puts a small form in place of the title; Enter saves, Escape leaves it as it was. */
function editTitle(api: Api, asset: OverviewAsset, head: HTMLElement, opener: HTMLElement): void {
  const input = el('input', { type: 'text', maxlength: '512', value: asset.title, 'aria-label': 'Title' });
  const form = el('form', { class: 'edit' }, input, el('button', { class: 'primary' }, 'Save'));
  const close = (): void => {
    form.replaceWith(head);
    opener.hidden = false;
    opener.focus();
  };
  form.append(button('Cancel', 'quiet', close));
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void attempt(() => api.renameAsset(asset.id, input.value.trim()), 'Title saved').then((isSaved) => {
      if (isSaved) close();
    });
  });
  head.replaceWith(form);
  opener.hidden = true;
  input.focus();
  input.select();
}

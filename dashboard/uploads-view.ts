// Uploads from this page: drag and drop or file chooser, progress, resume by itself, cancel.
import { type Api, ApiProblem } from './api-client.ts';
import { button, byId, el, setText } from './dom.ts';
import { announce, attempt, toast } from './feedback.ts';
import { formatBytes, formatDuration } from './format.ts';
import { SpeedMeter } from './speed-meter.ts';
import { sendFile, UploadRefused } from './tus-client.ts';
import { xhrTransport } from './tus-transport.ts';

/** Assets whose bytes this page is sending, shown as uploads. */
const assetsUnderway = new Set<string>();
let underway = 0;

/** Wires the drop zone and the file chooser. `isUnderway`: this page is sending the bytes of this asset. */
export function createUploadsView(api: Api): { isUnderway(assetId: string): boolean } {
  const zone = byId('drop');
  const chooser = byId('file');
  const take = (files: FileList | null | undefined): void => {
    for (const file of files ?? []) void upload(api, file);
  };
  if (chooser instanceof HTMLInputElement) {
    byId('choose').addEventListener('click', () => chooser.click());
    chooser.addEventListener('change', () => {
      take(chooser.files);
      chooser.value = '';
    });
  }
  zone.addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.classList.add('is-over');
  });
  zone.addEventListener('dragleave', () => zone.classList.remove('is-over'));
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    zone.classList.remove('is-over');
    take(event.dataTransfer?.files);
  });
  // A file dropped beside the zone would replace the page, and every upload with it.
  for (const type of ['dragover', 'drop']) window.addEventListener(type, (event) => event.preventDefault());
  window.addEventListener('beforeunload', (event) => {
    if (underway > 0) event.preventDefault();
  });
  return { isUnderway: (assetId) => assetsUnderway.has(assetId) };
}

/** The address as this page reaches the platform: the same server under the name the page was loaded from. */
const onThisOrigin = (address: string): string => new URL(new URL(address).pathname, location.origin).href;

const titleOf = (name: string): string => name.replace(/\.[^.]{1,5}$/, '').slice(0, 512);

async function upload(api: Api, file: File): Promise<void> {
  if (file.size === 0) {
    toast(`${file.name} is empty`, 'fault');
    return;
  }
  const abort = new AbortController();
  const row = progressRow(file, () => abort.abort(new Error('cancelled')));
  underway += 1;
  let assetId = '';
  try {
    const made = await api.createUpload({ title: titleOf(file.name), length: file.size, filename: file.name });
    assetId = made.asset_id;
    assetsUnderway.add(assetId);
    await send(api, made, file, row, abort.signal);
    announce(`${file.name} uploaded`);
    row.root.remove();
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) window.dispatchEvent(new Event('token-refused'));
    if (abort.signal.aborted) row.root.remove();
    else row.fail(error instanceof Error ? error.message : String(error));
  } finally {
    underway -= 1;
    assetsUnderway.delete(assetId);
  }
}

async function send(
  api: Api,
  made: { id: string; url: string },
  file: File,
  row: ProgressRow,
  signal: AbortSignal,
): Promise<void> {
  try {
    await sendFile({
      url: onThisOrigin(made.url),
      file,
      transport: xhrTransport,
      signal,
      onProgress: row.progress,
      onInterrupted: row.interrupted,
      pause: pauseOrOnline,
    });
  } catch (error) {
    if (signal.aborted) await attempt(() => api.cancelUpload(made.id), 'Upload cancelled');
    else if (!(error instanceof UploadRefused)) await api.cancelUpload(made.id).catch(() => undefined);
    throw error;
  }
}

/** Waits, or until the machine is online again. */
function pauseOrOnline(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}

type ProgressRow = {
  root: HTMLElement;
  progress(bytes: number): void;
  interrupted(isInterrupted: boolean): void;
  fail(text: string): void;
};

function progressRow(file: File, onCancel: () => void): ProgressRow {
  const bar = el('progress', { max: '100', value: '0', 'aria-label': `Upload of ${file.name}` });
  const facts = el('p', { class: 'row-facts' }, 'Starting');
  const speed = new SpeedMeter();
  const cancel = button('Cancel', 'quiet', onCancel);
  cancel.setAttribute('aria-label', `Cancel upload of ${file.name}`);
  const root = el(
    'li',
    { class: 'row' },
    el('div', { class: 'row-main' }, el('p', { class: 'row-head row-title' }, file.name), bar, facts),
    el('div', { class: 'row-actions' }, cancel),
  );
  byId('uploads').append(root);
  return {
    root,
    progress(bytes) {
      const percent = Math.floor((100 * bytes) / file.size);
      bar.value = percent;
      const rate = speed.add(performance.now(), bytes);
      const parts = [`${percent} %`, `${formatBytes(bytes)} of ${formatBytes(file.size)}`];
      if (rate > 0) parts.push(`${formatBytes(rate)}/s`, `${formatDuration((file.size - bytes) / rate)} left`);
      setText(facts, parts.join(' · '));
    },
    interrupted(isInterrupted) {
      root.classList.toggle('is-interrupted', isInterrupted);
      if (isInterrupted) setText(facts, 'Interrupted. Going on by itself as soon as the platform answers.');
    },
    fail(text) {
      bar.hidden = true;
      root.classList.add('is-failed');
      setText(facts, text);
      facts.setAttribute('role', 'alert');
      cancel.replaceWith(button('Dismiss', 'quiet', () => root.remove()));
    },
  };
}

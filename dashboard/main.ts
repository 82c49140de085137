// The status page: signs in, reads the overview each second and hands it to the views.
import './styles/base.css';
import './styles/overlays.css';
import './styles/page.css';
import './styles/rows.css';
import type { Overview } from '../platform/contract/overview.ts';
import { type Api, ApiProblem, createApi } from './api-client.ts';
import { createAssetsView } from './assets-view.ts';
import { changesBetween } from './changes.ts';
import { byId, setText } from './dom.ts';
import { announce, copyButton } from './feedback.ts';
import { createJobsView, createNodesView } from './operations-view.ts';
import { createStreamsView } from './streams-view.ts';
import { createUploadsView } from './uploads-view.ts';

const TOKEN = 'headwater-token';
const POLL_MS = 1_000;

const signIn = byId('sign-in');
const tokenInput = byId('token');

byId('sign-out').addEventListener('click', leave);
window.addEventListener('token-refused', leave);
if (signIn instanceof HTMLFormElement) signIn.addEventListener('submit', onSubmit);
void enter(sessionStorage.getItem(TOKEN));

function leave(): void {
  sessionStorage.removeItem(TOKEN);
  location.reload();
}

function onSubmit(event: Event): void {
  event.preventDefault();
  if (tokenInput instanceof HTMLInputElement) void enter(tokenInput.value.trim(), true);
}

/** Opens the page when the platform accepts the token; else shows the sign-in form with the reason. */
async function enter(token: string | null, isTyped = false): Promise<void> {
  const fault = byId('sign-in-fault');
  if (token !== null && token !== '') {
    const api = createApi(token);
    try {
      await api.checkToken();
      sessionStorage.setItem(TOKEN, token);
      open(api);
      return;
    } catch (error) {
      const isRefused = error instanceof ApiProblem && error.status === 401;
      setText(fault, isRefused ? 'This token is not accepted.' : 'The platform does not answer. Try again.');
      fault.hidden = !isTyped && isRefused;
    }
  }
  byId('gate').hidden = false;
  tokenInput.focus();
}

function open(api: Api): void {
  byId('gate').hidden = true;
  byId('page').hidden = false;
  byId('sign-out').hidden = false;

  const uploads = createUploadsView(api);
  const streams = createStreamsView(api);
  const assets = createAssetsView(api, uploads);
  const jobs = createJobsView(api);
  const nodes = createNodesView(api);
  byId('server').after(copyButton('Copy', () => byId('server').textContent ?? '', 'server address'));
  let last: Overview | null = null;
  const show = (overview: Overview): void => {
    streams(overview.streams);
    assets(overview.assets);
    jobs(overview);
    nodes(overview.nodes);
    summarize(overview);
    const sentences = changesBetween(last, overview);
    if (sentences.length > 0) announce(sentences.join('. '));
    last = overview;
  };
  void follow(api, show, () => last);
}

/** Polls for ever; ages and the like are drawn anew even when the platform says that nothing changed. */
async function follow(api: Api, show: (overview: Overview) => void, last: () => Overview | null): Promise<void> {
  for (;;) {
    try {
      const overview = (await api.overview()) ?? last();
      if (overview !== null) show(overview);
      byId('offline').hidden = true;
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 401) {
        leave();
        return;
      }
      byId('offline').hidden = false;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function summarize(overview: Overview): void {
  const live = overview.streams.filter((stream) => stream.status === 'active');
  const viewers = overview.streams.reduce((sum, stream) => sum + stream.viewer_count, 0);
  const working = overview.jobs.filter((job) => job.state === 'active').length;
  const healthy = overview.nodes.filter((node) => node.state === 'healthy').length;
  setText(byId('sum-live'), String(live.length));
  setText(byId('sum-viewers'), String(viewers));
  setText(byId('sum-jobs'), String(working));
  setText(byId('sum-nodes'), `${healthy} / ${overview.nodes.length}`);
  setText(byId('server'), overview.rtmp_url);
  setText(byId('store'), overview.storage);
  const edges = overview.nodes.filter((node) => node.role === 'edge');
  const home = (edges.find((node) => !node.is_drained) ?? edges[0])?.public_url ?? null;
  const link = byId('home-link');
  link.hidden = home === null;
  if (home !== null) link.setAttribute('href', home);
}

// The REST API as the page uses it: Basic token, `data` envelopes, problem documents as errors.
import type { Overview } from '../platform/contract/overview.ts';

/** A refusal or fault, in words for people. `status` 0: the platform could not be reached. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, text: string, options?: ErrorOptions) {
    super(text, options);
    this.status = status;
    this.code = code;
  }
}

export type NewStream = {
  title: string;
  latency_mode: string;
  playback_policies: string[];
  transcode: string;
  redundancy: string;
  record: boolean;
};
/** Server and key as OBS asks for them; the key is in this answer alone. */
export type StreamKeyAnswer = {
  id: string;
  title: string;
  rtmp_url: string;
  rtmps_url: string | null;
  stream_key: string;
  key: 'primary' | 'backup';
};
/** Seconds: of an asset from its start, of a live stream before its edge (negative). */
export type NewClip = {
  source: { asset_id: string } | { live_stream_id: string };
  start: number;
  end: number;
  title?: string;
};
export type ClipAnswer = { id: string; title: string; duration: number };
export type NewUpload = { title: string; length: number; filename: string };
export type UploadAnswer = { id: string; asset_id: string; url: string };

export interface Api {
  /** @throws ApiProblem 401 when the token is not accepted */
  checkToken(): Promise<void>;
  /** The overview; null when nothing changed since the last call. */
  overview(): Promise<Overview | null>;
  createStream(stream: NewStream): Promise<StreamKeyAnswer>;
  resetKey(streamId: string): Promise<StreamKeyAnswer>;
  /** Makes the backup key, or a new one. */
  resetBackupKey(streamId: string): Promise<StreamKeyAnswer>;
  completeStream(streamId: string): Promise<void>;
  kickStream(streamId: string): Promise<void>;
  switchStream(streamId: string, to: 'primary' | 'backup'): Promise<void>;
  setRecording(streamId: string, isOn: boolean): Promise<void>;
  deleteStream(streamId: string): Promise<void>;
  createClip(clip: NewClip): Promise<ClipAnswer>;
  createUpload(upload: NewUpload): Promise<UploadAnswer>;
  cancelUpload(uploadId: string): Promise<void>;
  renameAsset(assetId: string, title: string): Promise<void>;
  deleteAsset(assetId: string): Promise<void>;
  cancelJob(queue: string, jobId: string): Promise<void>;
  retryJob(queue: string, jobId: string): Promise<void>;
  /** Leads an edge's viewers to the others, or lets them come back. */
  orderEdge(nodeId: string, verb: 'drain' | 'undrain'): Promise<void>;
}

type Call = { method?: string; body?: unknown; headers?: Record<string, string> };

/** Longest wait for an answer. Unit: ms. */
const TIMEOUT_MS = 15_000;

/** Words of a problem document; its status line where there is none. */
async function problemOf(response: Response): Promise<ApiProblem> {
  let words = `The platform answered ${response.status}`;
  let code = '';
  try {
    const body = (await response.json()) as { title?: unknown; messages?: unknown; code?: unknown };
    const messages = Array.isArray(body.messages) ? body.messages.map(String) : [];
    words = messages.join('; ') || String(body.title ?? words);
    code = String(body.code ?? '');
  } catch {
    // Not a problem document: the status has to do.
  }
  return new ApiProblem(response.status, code, words);
}

/** Authorization header of a token `id:secret`. */
export const basicAuth = (token: string): string => {
  const bytes = new TextEncoder().encode(token);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
};

/** Client of the API at the page's own address. */
export function createApi(token: string): Api {
  let etag: string | null = null;

  async function send(path: string, call: Call = {}): Promise<Response> {
    const headers: Record<string, string> = { authorization: basicAuth(token), ...call.headers };
    if (call.body !== undefined) headers['content-type'] = 'application/json';
    const init: RequestInit = { method: call.method ?? 'GET', headers, signal: AbortSignal.timeout(TIMEOUT_MS) };
    if (call.body !== undefined) init.body = JSON.stringify(call.body);
    let response: Response;
    try {
      response = await fetch(path, init);
    } catch (cause) {
      throw new ApiProblem(0, '', 'The platform could not be reached', { cause });
    }
    if (response.ok || response.status === 304) return response;
    throw await problemOf(response);
  }

  async function data<T>(path: string, call: Call = {}): Promise<T> {
    return ((await (await send(path, call)).json()) as { data: T }).data;
  }

  const streamAt = (id: string, tail = ''): string => `/video/v1/live-streams/${id}${tail}`;
  /** Changes the version that was just read. */
  async function change(path: string, body: unknown): Promise<void> {
    const version = (await send(path)).headers.get('etag') ?? '*';
    await send(path, { method: 'PATCH', body, headers: { 'if-match': version } });
  }

  return {
    async checkToken() {
      await send('/system/v1/whoami');
    },
    async overview() {
      const response = await send('/ops/v1/overview', etag === null ? {} : { headers: { 'if-none-match': etag } });
      if (response.status === 304) return null;
      const { data: overview } = (await response.json()) as { data: Overview };
      etag = response.headers.get('etag');
      return overview;
    },
    createStream: (stream) => data('/video/v1/live-streams', { method: 'POST', body: stream }),
    resetKey: (id) => data(streamAt(id, '/reset-stream-key'), { method: 'POST' }),
    resetBackupKey: (id) => data(streamAt(id, '/backup-stream-key'), { method: 'POST' }),
    async completeStream(id) {
      await send(streamAt(id, '/complete'), { method: 'PUT' });
    },
    async kickStream(id) {
      await send(streamAt(id, '/kick'), { method: 'POST' });
    },
    async switchStream(id, to) {
      await send(streamAt(id, '/switch'), { method: 'POST', body: { to } });
    },
    setRecording: (id, isOn) => change(streamAt(id), { record: isOn }),
    async deleteStream(id) {
      await send(streamAt(id), { method: 'DELETE' });
    },
    createClip: (clip) => data('/video/v1/clips', { method: 'POST', body: clip }),
    createUpload: ({ title, length, filename }) =>
      data('/video/v1/uploads', {
        method: 'POST',
        body: {
          cors_origin: location.origin,
          length,
          filename,
          new_asset_settings: { playback_policies: ['public'], title },
        },
      }),
    async cancelUpload(id) {
      await send(`/video/v1/uploads/${id}/cancel`, { method: 'PUT' });
    },
    renameAsset: (id, title) => change(`/video/v1/assets/${id}`, { title }),
    async deleteAsset(id) {
      await send(`/video/v1/assets/${id}`, { method: 'DELETE' });
    },
    async cancelJob(queue, id) {
      await send(`/ops/v1/jobs/${queue}/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
    },
    async retryJob(queue, id) {
      await send(`/ops/v1/jobs/${queue}/${encodeURIComponent(id)}/retry`, { method: 'POST' });
    },
    async orderEdge(id, verb) {
      await send(`/ops/v1/edges/${id}/${verb}`, { method: 'POST' });
    },
  };
}

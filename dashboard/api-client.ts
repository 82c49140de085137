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

export type NewStream = { title: string; latency_mode: string; playback_policies: string[] };
/** Server and key as OBS asks for them; the key is in this answer alone. */
export type StreamKeyAnswer = { id: string; title: string; rtmp_url: string; stream_key: string };
export type NewUpload = { title: string; length: number; filename: string };
export type UploadAnswer = { id: string; asset_id: string; url: string };

export interface Api {
  /** @throws ApiProblem 401 when the token is not accepted */
  checkToken(): Promise<void>;
  /** The overview; null when nothing changed since the last call. */
  overview(): Promise<Overview | null>;
  createStream(stream: NewStream): Promise<StreamKeyAnswer>;
  resetKey(streamId: string): Promise<StreamKeyAnswer>;
  deleteStream(streamId: string): Promise<void>;
  createUpload(upload: NewUpload): Promise<UploadAnswer>;
  cancelUpload(uploadId: string): Promise<void>;
  renameAsset(assetId: string, title: string): Promise<void>;
  deleteAsset(assetId: string): Promise<void>;
  cancelJob(queue: string, jobId: string): Promise<void>;
  retryJob(queue: string, jobId: string): Promise<void>;
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
    resetKey: (id) => data(`/video/v1/live-streams/${id}/reset-stream-key`, { method: 'POST' }),
    async deleteStream(id) {
      await send(`/video/v1/live-streams/${id}`, { method: 'DELETE' });
    },
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
    async renameAsset(id, title) {
      const path = `/video/v1/assets/${id}`;
      const version = (await send(path)).headers.get('etag') ?? '*';
      await send(path, { method: 'PATCH', body: { title }, headers: { 'if-match': version } });
    },
    async deleteAsset(id) {
      await send(`/video/v1/assets/${id}`, { method: 'DELETE' });
    },
    async cancelJob(queue, id) {
      await send(`/ops/v1/jobs/${queue}/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
    },
    async retryJob(queue, id) {
      await send(`/ops/v1/jobs/${queue}/${encodeURIComponent(id)}/retry`, { method: 'POST' });
    },
  };
}

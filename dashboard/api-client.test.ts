// The API client: token header, envelopes, conditional overview, problems in words, If-Match on changes.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Api, ApiProblem, basicAuth, createApi } from './api-client.ts';

type Sent = { path: string; method: string; headers: Record<string, string>; body: unknown };

function answering(...answers: (Response | Error)[]): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    const body: unknown = typeof init.body === 'string' ? JSON.parse(init.body) : undefined;
    sent.push({ path, method: init.method ?? '', headers: init.headers as Record<string, string>, body });
    const answer = answers.shift();
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('unexpected call');
    return answer;
  });
  return sent;
}
const json = (body: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(body), init);

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('createApi', () => {
  it('sends the token as Basic', async () => {
    const sent = answering(json({ data: {} }));
    await createApi('admin:secret').checkToken();
    expect(sent[0]?.headers['authorization']).toBe(`Basic ${btoa('admin:secret')}`);
    expect(basicAuth('ä:b')).toMatch(/^Basic [A-Za-z0-9+/=]+$/);
  });

  it('asks for the overview conditionally, and gives null when nothing changed', async () => {
    const sent = answering(
      json({ data: { rtmp_url: 'r' } }, { headers: { etag: '"1"' } }),
      new Response(null, { status: 304 }),
    );
    const api = createApi('a:b');
    expect(await api.overview()).toMatchObject({ rtmp_url: 'r' });
    expect(await api.overview()).toBeNull();
    expect(sent.map((call) => call.headers['if-none-match'])).toEqual([undefined, '"1"']);
  });

  it('changes the version it has just read', async () => {
    const sent = answering(json({ data: {} }, { headers: { etag: '"v7"' } }), json({ data: {} }));
    await createApi('a:b').renameAsset('x', 'New');
    expect(sent[1]).toMatchObject({ method: 'PATCH', body: { title: 'New' } });
    expect(sent[1]?.headers['if-match']).toBe('"v7"');
  });

  it('switches recording on the version it has just read', async () => {
    const sent = answering(json({ data: {} }, { headers: { etag: '"v2"' } }), json({ data: {} }));
    await createApi('a:b').setRecording('x', false);
    expect(sent[1]).toMatchObject({ method: 'PATCH', path: '/video/v1/live-streams/x', body: { record: false } });
    expect(sent[1]?.headers['if-match']).toBe('"v2"');
  });

  it.each([
    ['POST', '/video/v1/live-streams/x/kick', (api: Api) => api.kickStream('x')],
    ['POST', '/ops/v1/edges/x/drain', (api: Api) => api.orderEdge('x', 'drain')],
    ['POST', '/ops/v1/edges/x/undrain', (api: Api) => api.orderEdge('x', 'undrain')],
    ['PUT', '/video/v1/live-streams/x/complete', (api: Api) => api.completeStream('x')],
    ['POST', '/video/v1/live-streams/x/switch', (api: Api) => api.switchStream('x', 'backup')],
    ['POST', '/video/v1/live-streams/x/backup-stream-key', (api: Api) => api.resetBackupKey('x')],
  ] as const)('%s %s', async (method, path, act) => {
    const sent = answering(json({ data: {} }));
    await act(createApi('a:b'));
    expect(sent).toMatchObject([{ method, path }]);
  });

  it('keeps a job id with colons in one path part', async () => {
    const sent = answering(new Response(null, { status: 204 }));
    await createApi('a:b').cancelJob('vod', 'vod:x:1');
    expect(sent[0]?.path).toBe('/ops/v1/jobs/vod/vod%3Ax%3A1/cancel');
  });

  it('turns a problem document into words', async () => {
    const problem = { title: 'Conflict', code: 'API_NOT_ALLOWED_NOW', messages: ['one', 'two'] };
    answering(json(problem, { status: 409 }));
    const failure = await createApi('a:b')
      .deleteAsset('x')
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ status: 409, code: 'API_NOT_ALLOWED_NOW', message: 'one; two' });
  });

  it('has words for an answer without a document and for none at all', async () => {
    answering(new Response('<html>', { status: 502 }), new TypeError('refused'));
    const api = createApi('a:b');
    await expect(api.checkToken()).rejects.toThrow('The platform answered 502');
    const failure = await api.checkToken().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApiProblem);
    expect(failure).toMatchObject({ status: 0 });
  });
});

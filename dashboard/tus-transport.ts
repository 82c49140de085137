// tus requests over XMLHttpRequest, the one browser interface that reports how far a request body has been sent.
import type { TusAnswer, TusTransport } from './tus-client.ts';

/** A request that moves no byte for this long is given up and taken for an interruption. Unit: ms. */
const SILENCE_MS = 30_000;

type Sending = {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Blob | null;
  onSent: (bytes: number) => void;
  signal: AbortSignal;
};

function send(sending: Sending): Promise<TusAnswer> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    let silence: ReturnType<typeof setTimeout> | undefined;
    const stop = (): void => request.abort();
    const stir = (): void => {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS);
    };
    const finish = (): void => {
      clearTimeout(silence);
      sending.signal.removeEventListener('abort', stop);
      resolve(answerOf(request));
    };
    request.open(sending.method, sending.url);
    for (const [name, value] of Object.entries(sending.headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', (event) => {
      stir();
      sending.onSent(event.loaded);
    });
    request.addEventListener('loadend', finish);
    sending.signal.addEventListener('abort', stop);
    stir();
    request.send(sending.body);
  });
}

function answerOf(request: XMLHttpRequest): TusAnswer {
  const offset = request.status === 0 ? null : request.getResponseHeader('upload-offset');
  return {
    status: request.status,
    offset: offset === null || !/^\d+$/.test(offset) ? null : Number(offset),
    text: request.status >= 400 ? request.responseText.slice(0, 300) : '',
  };
}

/** Requests of a page. */
export const xhrTransport: TusTransport = {
  head: (url, signal) =>
    send({ method: 'HEAD', url, headers: { 'tus-resumable': '1.0.0' }, body: null, onSent: () => undefined, signal }),
  patch: (url, offset, body, onSent, signal) =>
    send({
      method: 'PATCH',
      url,
      headers: {
        'tus-resumable': '1.0.0',
        'upload-offset': String(offset),
        'content-type': 'application/offset+octet-stream',
      },
      body,
      onSent,
      signal,
    }),
};

// Sends one file to a one-time upload address by tus 1.0: asks where it stands, sends pieces, goes on after any interruption.

/** Bytes of one request: also the most that an interruption costs. */
export const CHUNK_BYTES = 8 * 1024 * 1024;
const PAUSE_FIRST_MS = 500;
const PAUSE_MOST_MS = 8_000;

/** Answer of the server; `status` 0 when there was none. */
export type TusAnswer = { status: number; offset: number | null; text: string };

/** One HTTP request each. Never rejects, except by the signal. */
export interface TusTransport {
  head(url: string, signal: AbortSignal): Promise<TusAnswer>;
  patch(
    url: string,
    offset: number,
    body: Blob,
    onSent: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<TusAnswer>;
}

/** The server refused the file for good; the text is for people. */
export class UploadRefused extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

export type TusOptions = {
  url: string;
  file: Blob;
  transport: TusTransport;
  signal: AbortSignal;
  /** Bytes on the server or on their way; may go back after an interruption. */
  onProgress(bytes: number): void;
  /** True while it waits for the next attempt. */
  onInterrupted(isInterrupted: boolean): void;
  /** Waits; replaced in tests. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
  chunkBytes?: number;
};

/** What to do with an answer: go on, ask for the offset and try again, or give up. */
export function verdictOn(answer: TusAnswer): 'go-on' | 'again' | 'refused' {
  const { status } = answer;
  if (status >= 200 && status < 300) return 'go-on';
  // 409 and 423: another request of this upload is still being ended; 400 and 460: a piece that broke off on the way.
  if (status === 0 || status === 400 || status === 409 || status === 423 || status === 429 || status === 460)
    return 'again';
  return status >= 500 && status !== 507 ? 'again' : 'refused';
}

const REFUSALS: Record<number, string> = {
  404: 'This upload is no longer known',
  410: 'This upload was ended or has timed out',
  413: 'The file is larger than this platform takes',
  507: 'The platform has too little free disk space',
};

/**
 * Runs until every byte is stored.
 * @throws UploadRefused when going on makes no sense; the signal's reason when cancelled
 */
export async function sendFile(options: TusOptions): Promise<void> {
  const { file, signal, transport, url } = options;
  let offset: number | null = null;
  let failures = 0;
  while (offset === null || offset < file.size) {
    signal.throwIfAborted();
    const answer: TusAnswer =
      offset === null ? await transport.head(url, signal) : await sendPiece(options, transport, offset);
    signal.throwIfAborted();
    const verdict = verdictOn(answer);
    if (verdict === 'refused')
      throw new UploadRefused(answer.status, REFUSALS[answer.status] ?? refusalOf(answer.text, answer.status));
    if (verdict === 'go-on' && answer.offset !== null) {
      failures = 0;
      offset = answer.offset;
      options.onInterrupted(false);
      options.onProgress(offset);
      continue;
    }
    offset = null;
    options.onInterrupted(true);
    await options.pause(Math.min(PAUSE_MOST_MS, PAUSE_FIRST_MS * 2 ** Math.min(failures, 10)), signal);
    failures += 1;
  }
}

const refusalOf = (text: string, status: number): string => text.trim() || `The platform answered ${status}`;

function sendPiece(options: TusOptions, transport: TusTransport, offset: number): Promise<TusAnswer> {
  const end = Math.min(options.file.size, offset + (options.chunkBytes ?? CHUNK_BYTES));
  const onSent = (bytes: number): void => options.onProgress(offset + bytes);
  return transport.patch(options.url, offset, options.file.slice(offset, end), onSent, options.signal);
}

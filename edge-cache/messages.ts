// What the engine takes and gives, free of any HTTP library: HTTP/1.1 and HTTP/2 on raw sockets and node:http stand before the same engine.

/** One viewer request as the listener read it. Nothing here is trusted. */
export type EdgeRequest = {
  method: string;
  /** Request target exactly as sent: origin-form `/path?query` or an oddity to refuse. */
  target: string;
  /** By lower-case name; of a repeated header the first. */
  headers: Readonly<Record<string, string | undefined>>;
  /** Number of Host headers. */
  hosts: number;
  /** The request announces a body (Content-Length above 0 or any Transfer-Encoding). */
  hasBody: boolean;
  /** Address of the peer, for counting viewers. */
  client: string;
  /** Set by the engine while it waits for this viewer's answer; the listener calls it when the viewer goes away before that. */
  onLeft: (() => void) | null;
};

/** Text by lower-case header name. */
export type Headers = Record<string, string>;

/** `fixed` is one object for all answers that show the same thing and never changes, so what a listener makes of it may be kept; `moment` holds the rest. No name is in both. */
export type HeaderParts = { fixed: Readonly<Headers>; moment: Headers };

export type EdgeAnswer = {
  status: number;
  /** All of them. Where there are `parts`, they are put together at each look. */
  readonly headers: Headers;
  /** Where the answer shows an object in memory: the same headers, for listeners that keep them prepared. */
  parts?: HeaderParts;
  /** null: no body. An iterable may throw: then the connection is cut, never padded. */
  body: Buffer | AsyncIterable<Buffer> | null;
  /** Close the connection after the answer: what follows on it cannot be trusted. */
  isLast?: boolean;
  /** For metrics: kind of thing asked for, and how it was answered. */
  kind: string;
  result: Result;
};

/** How a request was answered; also the x-cache header in upper case. */
export type Result =
  | 'hit'
  | 'miss'
  | 'coalesced'
  | 'revalidated'
  | 'stale'
  | 'negative'
  | 'bypass'
  | 'local'
  | 'refused'
  | 'failed'
  | 'left';

// What a peer may make the edge do for nothing, per time: work without a request or a byte behind it is how HTTP/2 is attacked.
import { CODE } from './h2-frames.ts';

/** Why a connection is ended: the code the peer is told, and the reason that is counted. */
export type Fault = { readonly code: number; readonly reason: string };

export const FAULTS = {
  protocol: { code: CODE.protocol, reason: 'protocol' },
  flowControl: { code: CODE.flowControl, reason: 'protocol' },
  streamClosed: { code: CODE.streamClosed, reason: 'protocol' },
  frameSize: { code: CODE.frameSize, reason: 'protocol' },
  compression: { code: CODE.compression, reason: 'protocol' },
  /** Requests taken back again and again, or broken ones. Source: CVE-2023-44487, CVE-2025-8671. */
  resets: { code: CODE.calm, reason: 'resets' },
  /** Frames that move nothing. Source: CVE-2019-9511 to 9518. */
  flood: { code: CODE.calm, reason: 'flood' },
  /** Header blocks without end. Source: CVE-2024-28182. */
  headers: { code: CODE.calm, reason: 'headers' },
  internal: { code: CODE.internal, reason: 'internal' },
  slow: { code: CODE.calm, reason: 'slow' },
} as const satisfies Record<string, Fault>;

const WINDOW_MS = 10_000;
/** Requests taken back by the viewer, or reset because they broke the rules: no player does more in one window. */
const MOST_RESETS = 100;
/** PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown and empty frames in one window. */
const MOST_CHORES = 1_000;
/** Chores that come with one request or one frame of a body sent: window updates of stream and connection, a change of priority. */
const FORGIVEN = 4;

export class Budget {
  #endMs = 0;
  #resets = 0;
  #chores = 0;

  /** Begins a new window when the time has come. */
  renew(nowMs: number): void {
    if (nowMs < this.#endMs) return;
    this.#endMs = nowMs + WINDOW_MS;
    this.#resets = 0;
    this.#chores = 0;
  }

  /** A request came to nothing by the peer's doing. */
  reset(): Fault | null {
    this.#resets += 1;
    return this.#resets > MOST_RESETS ? FAULTS.resets : null;
  }

  /** A frame that asks for work and moves nothing. */
  chore(): Fault | null {
    this.#chores += 1;
    return this.#chores > MOST_CHORES ? FAULTS.flood : null;
  }

  /** A request, or a frame of a body on its way. */
  earn(): void {
    this.#chores = Math.max(0, this.#chores - FORGIVEN);
  }
}

// What an origin cannot answer, and why. routes.ts gives each its status.
import type { PlaybackState } from '../platform/contract/playback.ts';
import { AppError } from '../platform/runtime/errors.ts';

/** No such address: the path does not parse, or the id, content, rendition or object does not exist. */
export class MediaUnknown extends AppError {
  constructor(what: string, options?: ErrorOptions) {
    super('ORIGIN_MEDIA_UNKNOWN', `there is no ${what}`, { source: 'client', retryable: false, ...options });
  }
}

/** The playback id is known, but shows nothing now. */
export class NotPlayable extends AppError {
  readonly state: PlaybackState;
  constructor(state: PlaybackState) {
    super('ORIGIN_NOT_PLAYABLE', `nothing to play here now: ${state}`, { source: 'client', retryable: true });
    this.state = state;
  }
}

/** Signed content, which nobody can be let in to yet. */
export class SignedUnavailable extends AppError {
  constructor() {
    super('ORIGIN_SIGNED_UNAVAILABLE', 'signed playback is not available yet', { source: 'client', retryable: false });
  }
}

/** Media of a running broadcast that this origin does not have yet; another may, and this one soon. */
export class MediaPending extends AppError {
  constructor(what: string, options?: ErrorOptions) {
    super('ORIGIN_MEDIA_PENDING', `${what} is not there yet`, { source: 'upstream', retryable: true, ...options });
  }
}

/** Delivery directives that make no sense, or ask for something too far ahead (rfc8216bis, 6.2.5.2). */
export class ReloadRefused extends AppError {
  constructor(why: string) {
    super('ORIGIN_RELOAD_REFUSED', `these delivery directives are refused: ${why}`, {
      source: 'client',
      retryable: false,
    });
  }
}

/** This origin is going: whoever waits here asks another one. */
export class OriginDraining extends AppError {
  constructor() {
    super('ORIGIN_DRAINING', 'this origin takes no new waits', { source: 'upstream', retryable: true });
  }
}

/** This origin has lost sight of a running broadcast: its playlist would be old. */
export class StreamStale extends AppError {
  constructor() {
    super('ORIGIN_STREAM_STALE', 'this origin no longer sees the live timeline', {
      source: 'upstream',
      retryable: true,
    });
  }
}

/** A Range outside the object. */
export class RangeUnsatisfiable extends AppError {
  /** Of the whole object. */
  readonly bytes: number;
  constructor(bytes: number) {
    super('ORIGIN_RANGE_UNSATISFIABLE', `the range lies outside the ${bytes} bytes`, {
      source: 'client',
      retryable: false,
    });
    this.bytes = bytes;
  }
}

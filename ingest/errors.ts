// What can go wrong at the RTMP door and at the ring.
import { AppError } from '../platform/runtime/errors.ts';

/** The peer broke the RTMP grammar or a limit; its connection is destroyed. */
export class RtmpMalformed extends AppError {
  constructor(what: string, options?: ErrorOptions) {
    super('RTMP_MALFORMED', `the peer sent ${what}`, { source: 'client', retryable: false, ...options });
  }
}

/** Why a publisher was not let in. `back-off`: a wrong key from an address that sent too many. */
export type RefusalReason = 'key' | 'app' | 'play' | 'full' | 'draining' | 'back-off';

/** The peer may not publish here (or wanted to play); its connection is destroyed. */
export class PublishRefused extends AppError {
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason) {
    super('PUBLISH_REFUSED', `the connection was refused: ${reason}`, { source: 'client', retryable: false });
    this.reason = reason;
  }
}

/** No broadcast with this id has its publisher here. */
export class RingUnknown extends AppError {
  constructor() {
    super('RING_UNKNOWN', 'this node holds no such broadcast', { source: 'client', retryable: true });
  }
}

/** The asked-for place is no longer held: the reader begins anew at `from=start`. */
export class RingGone extends AppError {
  constructor() {
    super('RING_GONE', 'this place of the ring is no longer held', { source: 'client', retryable: false });
  }
}

/** The query of a ring request does not parse. */
export class RingQueryInvalid extends AppError {
  constructor() {
    super('RING_QUERY_INVALID', 'give from=start, from=live, or session with tag or ts', {
      source: 'client',
      retryable: false,
    });
  }
}

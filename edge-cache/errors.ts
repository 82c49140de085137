// What can go wrong between edge and origins. Statuses are chosen in replies.ts.
import { AppError } from '../platform/runtime/errors.ts';

/** No known origin gave a usable answer in time. Viewers see stale content or 503. */
export class OriginsUnavailable extends AppError {
  constructor(reason: string, options?: ErrorOptions) {
    super('EDGE_ORIGINS_UNAVAILABLE', `no origin answered: ${reason}`, {
      source: 'upstream',
      retryable: true,
      ...options,
    });
  }
}

/** Every origin is behind what this edge has already served of a live playlist. */
export class OriginsBehind extends AppError {
  constructor() {
    super('EDGE_ORIGINS_BEHIND', 'every origin is behind what was already served of this playlist', {
      source: 'upstream',
      retryable: true,
    });
  }
}

/** The origins say this one stream cannot be answered now. Says nothing about their health. */
export class StreamUnavailable extends AppError {
  constructor() {
    super('EDGE_STREAM_UNAVAILABLE', 'this stream cannot be answered right now', {
      source: 'upstream',
      retryable: true,
    });
  }
}

/** A body ended early or grew beyond its length and could not be continued under the same ETag. */
export class BodyBroken extends AppError {
  constructor(reason: string, options?: ErrorOptions) {
    super('EDGE_BODY_BROKEN', `the object broke off on its way from the origin: ${reason}`, {
      source: 'upstream',
      retryable: true,
      ...options,
    });
  }
}

/** A body is larger than one cached object may be. */
export class BodyTooLarge extends AppError {
  constructor(bytes: number | null, limit: number) {
    super('EDGE_BODY_TOO_LARGE', `a body of ${bytes ?? 'unknown'} bytes is over the limit of ${limit}`, {
      source: 'upstream',
      retryable: false,
    });
  }
}

/** More waits or is under way here than this edge takes on at a time. Viewers are asked to come again. */
export class EdgeBusy extends AppError {
  constructor(what: string) {
    super('EDGE_BUSY', `this edge has no room for more ${what} right now`, { source: 'internal', retryable: true });
  }
}

/** A file of the disk cache is not what was written. It is dropped and the object comes from an origin; no viewer sees this. */
export class DiskFileBroken extends AppError {
  constructor(reason: string, options?: ErrorOptions) {
    super('EDGE_DISK_FILE_BROKEN', `a file of the disk cache cannot be used: ${reason}`, {
      source: 'internal',
      retryable: true,
      ...options,
    });
  }
}

/** A purge did not reach everything that is kept here. Purge again. */
export class PurgeIncomplete extends AppError {
  constructor(reason: string, options?: ErrorOptions) {
    super('EDGE_PURGE_INCOMPLETE', `not everything is purged: ${reason}`, {
      source: 'internal',
      retryable: true,
      ...options,
    });
  }
}

// What ends a live job early, and whose fault it is.
import { AppError } from '../platform/runtime/errors.ts';

/** Another worker holds the lease or a later term: nothing more may be written. */
export class LiveSuperseded extends AppError {
  constructor(broadcast: string, options?: ErrorOptions) {
    super('LIVE_SUPERSEDED', `another worker carries broadcast ${broadcast}`, {
      source: 'upstream',
      retryable: false,
      ...options,
    });
  }
}

/** The publisher sends a codec that the live path does not take. */
export class LiveSourceUnsupported extends AppError {
  constructor(what: string) {
    super('LIVE_SOURCE_UNSUPPORTED', `live takes H.264 video: the publisher sends ${what}`, {
      source: 'client',
      retryable: false,
    });
  }
}

/** ffmpeg ended, or what it sent does not fit the grid. */
export class LiveEncoderFailed extends AppError {
  constructor(reason: string, options?: ErrorOptions) {
    super('LIVE_ENCODER_FAILED', `the live encoder failed: ${reason}`, {
      source: 'internal',
      retryable: true,
      ...options,
    });
  }
}

/** The encoder's init part differs from the one stored for this epoch: the epoch cannot go on. */
export class LiveInitDiffers extends AppError {
  constructor(key: string) {
    super('LIVE_INIT_DIFFERS', `another init part is already stored at ${key}`, {
      source: 'internal',
      retryable: false,
    });
  }
}

// What can go wrong with a transcoding job: faults of the file end the asset with a type and messages, faults around it are tried again.
import type { AssetError } from '../platform/contract/records.ts';
import { AppError } from '../platform/runtime/errors.ts';

/** Types that an asset's `errors.type` may have. */
export const MEDIA_FAULTS = [
  'NON_VIDEO',
  'MALFORMED',
  'UNSUPPORTED_VIDEO',
  'UNSUPPORTED_AUDIO',
  'PICTURE_TOO_LARGE',
  'FRAME_RATE_TOO_HIGH',
  'TOO_MANY_STREAMS',
  'DURATION_TOO_LONG',
  'DURATION_IMPLAUSIBLE',
  'TIME_LIMIT',
  'SOURCE_MISSING',
  'CANCELLED',
  'UNKNOWN',
] as const;
export type MediaFault = (typeof MEDIA_FAULTS)[number];

/** The uploaded file cannot become a video; another try would end the same way. */
export class MediaRefused extends AppError {
  readonly type: MediaFault;
  /** @param type what the asset's `errors.type` says; @param reason one sentence for the uploader */
  constructor(type: MediaFault, reason: string, options?: ErrorOptions) {
    super('MEDIA_REFUSED', reason, { source: 'client', retryable: false, ...options });
    this.type = type;
  }
  /** What the asset record keeps. */
  get assetError(): AssetError {
    return { type: this.type, messages: [this.message] };
  }
}

/** ffmpeg ended with an error that does not speak of the file: memory, a signal, a missing encoder. */
export class FfmpegFailed extends AppError {
  constructor(what: string, reason: string, options?: ErrorOptions) {
    super('FFMPEG_FAILED', `ffmpeg failed to ${what}: ${reason}`, { source: 'internal', retryable: true, ...options });
  }
}

/** ffmpeg or ffprobe cannot be run at all. */
export class FfmpegMissing extends AppError {
  constructor(name: string) {
    super('FFMPEG_MISSING', `${name} was not found in PATH: install ffmpeg 5.1 or newer`, {
      source: 'internal',
      retryable: false,
    });
  }
}

/** The sandbox that the settings ask for does not work on this machine. */
export class SandboxUnusable extends AppError {
  constructor(driver: string, reason: string) {
    super('SANDBOX_UNUSABLE', `the ${driver} sandbox does not work here (HEADWATER_SANDBOX): ${reason}`, {
      source: 'internal',
      retryable: false,
    });
  }
}

/** The scratch disk has no room for the source. */
export class ScratchFull extends AppError {
  constructor(neededBytes: number, freeBytes: number) {
    super('SCRATCH_FULL', `the scratch disk has ${freeBytes} bytes free, the job needs ${neededBytes}`, {
      source: 'upstream',
      retryable: true,
    });
  }
}

/** The store is away and the disk for live media has no more room: the publisher waits. */
export class SpoolFull extends AppError {
  constructor(bytes: number, limitBytes: number, options?: ErrorOptions) {
    super('SPOOL_FULL', `${bytes} bytes of live media wait for the store, at most ${limitBytes} may`, {
      source: 'upstream',
      retryable: true,
      ...options,
    });
  }
}

/** The stored bytes of the upload are not whole yet, or a listing was behind. */
export class SourceIncomplete extends AppError {
  constructor(reason: string) {
    super('SOURCE_INCOMPLETE', `the uploaded bytes cannot be put together: ${reason}`, {
      source: 'upstream',
      retryable: true,
    });
  }
}

/** Another worker owns the asset now; this one publishes nothing more. */
export class OwnershipLost extends AppError {
  constructor(asset: string, why: string) {
    super('OWNERSHIP_LOST', `this worker no longer owns asset ${asset}: ${why}`, {
      source: 'internal',
      retryable: false,
    });
  }
}

/** The job stops for a reason that is not the file's: shutdown, a lost lease, a lost queue lock. It goes on elsewhere. */
export class JobInterrupted extends AppError {
  constructor(why: string, options?: ErrorOptions) {
    super('JOB_INTERRUPTED', `the job was interrupted: ${why}`, { source: 'internal', retryable: true, ...options });
  }
}

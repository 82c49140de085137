// What a caller of the api can be told. Status codes are in routes.ts.
import { AppError } from '../platform/runtime/errors.ts';

/** No such thing, or one that is being deleted. */
export class NotFound extends AppError {
  constructor(what: string) {
    super('API_NOT_FOUND', `no such ${what}`, { source: 'client', retryable: false });
  }
}

/** Missing or wrong token. */
export class TokenRefused extends AppError {
  constructor() {
    super('API_TOKEN_REFUSED', 'this address needs the API token: Authorization: Basic base64(id:secret)', {
      source: 'client',
      retryable: false,
    });
  }
}

/** A body or query that does not fit the schema; `messages` names every fault. */
export class RequestInvalid extends AppError {
  readonly messages: string[];
  constructor(messages: string[], options?: ErrorOptions) {
    super('API_REQUEST_INVALID', messages.join('; '), { source: 'client', retryable: false, ...options });
    this.messages = messages;
  }
}

/** A change without If-Match. */
export class IfMatchRequired extends AppError {
  constructor() {
    super('API_IF_MATCH_REQUIRED', 'send If-Match with the ETag that GET answered', {
      source: 'client',
      retryable: false,
    });
  }
}

/** If-Match names an older version. */
export class VersionStale extends AppError {
  constructor(options?: ErrorOptions) {
    super('API_VERSION_STALE', 'someone else changed this: GET it again and repeat the change', {
      source: 'client',
      retryable: false,
      ...options,
    });
  }
}

/** The thing is in a state that does not allow this. */
export class NotAllowedNow extends AppError {
  constructor(message: string) {
    super('API_NOT_ALLOWED_NOW', message, { source: 'client', retryable: false });
  }
}

/** The one-time address was used up, cancelled or timed out. */
export class UploadGone extends AppError {
  constructor(status: string) {
    super('API_UPLOAD_GONE', `this upload is over (${status}): create another`, { source: 'client', retryable: false });
  }
}

/** More bytes than allowed or announced. */
export class UploadTooLarge extends AppError {
  constructor(limitBytes: number) {
    super('API_UPLOAD_TOO_LARGE', `an upload may have ${limitBytes} bytes at most`, {
      source: 'client',
      retryable: false,
    });
  }
}

/** The bytes do not begin where the stored ones end, or another request stores them. */
export class UploadOffsetConflict extends AppError {
  constructor(offset: number) {
    super('API_UPLOAD_OFFSET_CONFLICT', `the stored bytes end at ${offset}: go on from there`, {
      source: 'client',
      retryable: true,
    });
  }
}

/** Another request holds this upload and did not let go in time. */
export class UploadBusy extends AppError {
  constructor() {
    super('API_UPLOAD_BUSY', 'another request sends the bytes of this upload', { source: 'client', retryable: true });
  }
}

/** The connection broke, or a newer request took over; stored bytes are kept. */
export class UploadInterrupted extends AppError {
  constructor(options?: ErrorOptions) {
    super('API_UPLOAD_INTERRUPTED', 'the body ended early; what arrived is kept', {
      source: 'client',
      retryable: true,
      ...options,
    });
  }
}

/** Too little room for the announced bytes and the reserve. */
export class DiskLow extends AppError {
  constructor() {
    super('API_DISK_LOW', 'there is too little disk space to accept this upload', {
      source: 'upstream',
      retryable: true,
    });
  }
}

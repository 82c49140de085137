// Why a source cannot be passed through.
import type { AssetError } from '../platform/contract/records.ts';
import { AppError } from '../platform/runtime/errors.ts';

/** The source's key frames are too far apart for a playlist that copies them. */
export class LiveGopOutOfRange extends AppError {
  /** What the broadcast record keeps, with what to do about it. */
  readonly fault: AssetError;

  /** @param seconds longest distance of key frames seen; @param limitS largest that is taken */
  constructor(seconds: number, limitS: number) {
    const found = `key frames are ${seconds.toFixed(1)} s apart or more, pass-through takes at most ${limitS} s`;
    super('LIVE_GOP_OUT_OF_RANGE', found, { source: 'client', retryable: false });
    const advice = 'set the key frame interval of the encoder to 2 seconds, or let the stream be transcoded';
    this.fault = { type: 'GOP_OUT_OF_RANGE', messages: [found, advice] };
  }
}

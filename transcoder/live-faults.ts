// Which failures of a live source the broadcast record tells, so that the publisher learns what to change.
import type { AssetError } from '../platform/contract/records.ts';
import { LiveGopOutOfRange } from './live-copy-errors.ts';
import { LiveSourceUnsupported } from './live-errors.ts';

/** What the record says of it; null: it is no fault of the source. */
export function faultOf(thrown: unknown): AssetError | null {
  if (thrown instanceof LiveGopOutOfRange) return thrown.fault;
  if (thrown instanceof LiveSourceUnsupported) return { type: 'SOURCE_UNSUPPORTED', messages: [thrown.message] };
  return null;
}

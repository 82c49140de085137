// Finished live playlists: however many ask for the same place at about the same time, the text is made once.
import { type PreparedText, prepareText } from './replies.ts';

/** A place is asked for no longer than this: viewers and edges are at most a few target durations apart. Unit: ms. */
const KEPT_MS = 15_000;
/** A playlist of twelve hours has 2 MB, a delta update 2 KB. Unit: bytes. */
const KEPT_BYTES = 48 * 1024 * 1024;

export class LiveTexts {
  private readonly held = new Map<string, { prepared: PreparedText; at: number }>();
  private readonly now: () => number;
  private bytes = 0;

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /**
   * The text under a name that says everything it depends on.
   * @param write null: there is nothing to show, which is not kept
   */
  of(name: string, write: () => string | null): PreparedText | null {
    const known = this.held.get(name);
    if (known !== undefined) return known.prepared;
    const text = write();
    if (text === null) return null;
    const prepared = prepareText(text);
    this.held.set(name, { prepared, at: this.now() });
    this.bytes += prepared.body.byteLength;
    this.trim(name);
    return prepared;
  }

  /** Oldest first, which is the order in which they came. */
  private trim(newest: string): void {
    const youngest = this.now() - KEPT_MS;
    for (const [name, { prepared, at }] of this.held) {
      if (name === newest || (this.bytes <= KEPT_BYTES && at >= youngest)) return;
      this.held.delete(name);
      this.bytes -= prepared.body.byteLength;
    }
  }
}

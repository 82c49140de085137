// Finished answers of one live broadcast: however many ask for the same place at the same time, the text is made once.
import { type PreparedText, prepareText } from './replies.ts';

/** Texts kept at a time. A playlist of twelve hours has 2.5 MB, a delta update 3 KB. Unit: bytes. */
const KEPT_BYTES = 12 * 1024 * 1024;
const KEPT_TEXTS = 1_000;

export class LiveTexts {
  private readonly held = new Map<string, PreparedText>();
  private bytes = 0;

  /**
   * The text under a name that says everything it depends on.
   * @param write null: there is nothing to show, which is not kept
   */
  of(name: string, write: () => string | null): PreparedText | null {
    const known = this.held.get(name);
    if (known !== undefined) return known;
    const text = write();
    if (text === null) return null;
    const prepared = prepareText(text);
    this.held.set(name, prepared);
    this.bytes += prepared.body.byteLength;
    for (const [oldest, { body }] of this.held) {
      if (oldest === name || (this.bytes <= KEPT_BYTES && this.held.size <= KEPT_TEXTS)) break;
      this.held.delete(oldest);
      this.bytes -= body.byteLength;
    }
    return prepared;
  }
}

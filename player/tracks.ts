// Lists of qualities and audio tracks in the shape that media-chrome's menus read from a media element.

export type Rendition = { id: string; width: number; height: number; bitrate: number };

/** Qualities; `selectedIndex` -1 is automatic. Changes by a menu call `onSelect`. */
export class RenditionList extends EventTarget {
  #items: Rendition[] = [];
  #selected = -1;
  readonly #onSelect: (index: number) => void;

  /** @param onSelect index into the list, -1 for automatic */
  constructor(onSelect: (index: number) => void) {
    super();
    this.#onSelect = onSelect;
  }

  [Symbol.iterator](): Iterator<Rendition> {
    return this.#items[Symbol.iterator]();
  }

  get length(): number {
    return this.#items.length;
  }

  get selectedIndex(): number {
    return this.#selected;
  }

  set selectedIndex(index: number) {
    if (index === this.#selected) return;
    this.#selected = index;
    this.#onSelect(index);
    this.dispatchEvent(new Event('change'));
  }

  /** Replaces the list; the choice returns to automatic. */
  replace(items: Rendition[]): void {
    this.#items = items;
    // media-chrome reads the selected item by index from the list itself.
    for (const key of Object.keys(this)) Reflect.deleteProperty(this, key);
    for (const [index, item] of items.entries()) Reflect.set(this, index, item);
    this.#selected = -1;
    this.dispatchEvent(new Event('addrendition'));
    this.dispatchEvent(new Event('change'));
  }
}

/** Menu's view of one audio track. */
export type AudioChoice = { id: string; kind: string; label: string; language: string; enabled: boolean };

/** Audio tracks; enabling one by a menu calls `onSelect`. */
export class AudioTrackList extends EventTarget {
  #items: AudioChoice[] = [];
  readonly #onSelect: (index: number) => void;

  constructor(onSelect: (index: number) => void) {
    super();
    this.#onSelect = onSelect;
  }

  [Symbol.iterator](): Iterator<AudioChoice> {
    return this.#items[Symbol.iterator]();
  }

  get length(): number {
    return this.#items.length;
  }

  /** Replaces the list. */
  replace(tracks: { label: string; language: string }[], selected: number): void {
    this.#items = tracks.map((track, index) => this.#choice(track, index, index === selected));
    this.dispatchEvent(new Event('addtrack'));
    this.dispatchEvent(new Event('change'));
  }

  #choice(track: { label: string; language: string }, index: number, isFirst: boolean): AudioChoice {
    let isEnabled = isFirst;
    const select = (): void => {
      this.#onSelect(index);
      this.dispatchEvent(new Event('change'));
    };
    return {
      id: String(index),
      kind: index === 0 ? 'main' : 'alternative',
      label: track.label,
      language: track.language,
      get enabled() {
        return isEnabled;
      },
      set enabled(value: boolean) {
        if (value === isEnabled) return;
        isEnabled = value;
        if (value) select();
      },
    };
  }
}

// The statistics panel over the picture: opened by the key `i` or its button, closed by the same, by Escape or its own button.
import { el, setText } from './dom.ts';
import type { PlaybackState } from './playback-state.ts';
import { statsRows } from './stats.ts';

export type StatsPanel = {
  root: HTMLElement;
  toggle(): void;
  /** Fresh numbers; does nothing while closed. */
  update(state: PlaybackState): void;
};

/** @param onToggle told whether the panel is open now */
export function createStatsPanel(onToggle: (isOpen: boolean) => void): StatsPanel {
  const list = el('dl', {});
  const close = el('button', { type: 'button', class: 'stats-close', 'aria-label': 'Close statistics' }, '×');
  const root = el(
    'section',
    { class: 'stats', 'aria-label': 'Playback statistics', noautohide: true, hidden: true },
    el('div', { class: 'stats-head' }, el('h2', {}, 'Statistics'), close),
    list,
  );
  const cells = new Map<string, { row: HTMLElement; value: HTMLElement }>();
  const set = (isOpen: boolean): void => {
    root.hidden = !isOpen;
    onToggle(isOpen);
  };
  close.addEventListener('click', () => set(false));
  root.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') set(false);
  });
  return {
    root,
    toggle: () => set(root.hasAttribute('hidden')),
    update(state) {
      if (root.hidden) return;
      const rows = statsRows(state);
      for (const { name, value } of rows) {
        const cell = cells.get(name) ?? addRow(list, name);
        cells.set(name, cell);
        cell.row.hidden = false;
        setText(cell.value, value);
      }
      for (const [name, cell] of cells) if (!rows.some((row) => row.name === name)) cell.row.hidden = true;
    },
  };
}

function addRow(list: HTMLElement, name: string): { row: HTMLElement; value: HTMLElement } {
  const value = el('dd', {});
  const row = el('div', {}, el('dt', {}, name), value);
  list.append(row);
  return { row, value };
}

// Builds elements without markup strings: text given here is text, never HTML. Lists are updated in place, so focus and selection stay.

type Attributes = Record<string, string | boolean | null>;

/** Attributes onto an element: `true` sets an empty one; `false` and `null` take it away. */
export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== (value === true ? '' : value))
      element.setAttribute(name, value === true ? '' : value);
  }
}

/** An element with attributes and children; `null` children are left out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** A button; failures of `onClick` are its own to show. */
export function button(label: string, className: string, onClick: () => void | Promise<void>): HTMLButtonElement {
  const element = el('button', { type: 'button', class: className }, label);
  element.addEventListener('click', () => void onClick());
  return element;
}

/** Sets text only when it changed, so that screen readers and selections are left alone. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The page's element of this id. @throws Error when the page lacks it */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element ${id}`);
  return element;
}

/** One row of a list: its element and how it takes newer data. */
export type Row<T> = { root: HTMLElement; update(item: T): void };

/** Keeps a list's rows in step with its items by key: rows in place are not moved, rows of gone items go. */
export function keyedList<T>(list: HTMLElement, keyOf: (item: T) => string, create: (item: T) => Row<T>) {
  const rows = new Map<string, Row<T>>();
  return (items: readonly T[]): void => {
    const keys = new Set(items.map(keyOf));
    for (const [key, row] of rows) {
      if (keys.has(key)) continue;
      row.root.remove();
      rows.delete(key);
    }
    for (const [index, item] of items.entries()) {
      const key = keyOf(item);
      const row = rows.get(key) ?? create(item);
      rows.set(key, row);
      row.update(item);
      const standing = list.children[index];
      if (standing !== row.root) list.insertBefore(row.root, standing ?? null);
    }
  };
}

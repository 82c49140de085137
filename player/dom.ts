// Builds elements without markup strings: text given here is text, never HTML.

type Attributes = Record<string, string | boolean | null>;

/**
 * An element with attributes and children.
 * @param attributes `true` sets an empty attribute; `false` and `null` leave it out
 */
export function el(tag: string, attributes: Attributes = {}, ...children: (Node | string | null)[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, '');
    else if (typeof value === 'string') element.setAttribute(name, value);
  }
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** A drawing of 24 by 24 made of one path, in the colour of the text around it; hidden from screen readers. `slot` may be empty. */
export function icon(path: string, slot: string): SVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const drawing = document.createElementNS(namespace, 'svg');
  for (const [name, value] of [
    ['viewBox', '0 0 24 24'],
    ['aria-hidden', 'true'],
    ['slot', slot],
  ] as const)
    if (value !== '') drawing.setAttribute(name, value);
  const line = document.createElementNS(namespace, 'path');
  line.setAttribute('d', path);
  drawing.append(line);
  return drawing;
}

/** Three dots that say: wait. Hidden from screen readers. */
export const ripple = (): HTMLElement =>
  el('div', { class: 'ripple', 'aria-hidden': 'true' }, el('i'), el('i'), el('i'));

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

// Ways to talk with the person at the page: spoken changes, short messages, questions before something is lost, copy buttons.
import { ApiProblem } from './api-client.ts';
import { copyText } from './clipboard.ts';
import { button, byId, el, setText } from './dom.ts';

const TOAST_MS = 5_000;

/** Says something to screen readers without showing it. */
export function announce(text: string): void {
  const region = byId('announcer');
  region.replaceChildren(el('p', {}, text));
}

/** Shows a message at the foot of the page for some seconds; screen readers hear it too. */
export function toast(text: string, kind: 'done' | 'fault' = 'done'): void {
  const item = el('p', { class: `toast toast-${kind}`, role: kind === 'fault' ? 'alert' : 'status' }, text);
  byId('toasts').append(item);
  setTimeout(() => item.remove(), TOAST_MS);
}

/** Runs an action and shows its failure in the platform's own words. @returns true when it succeeded */
export async function attempt(action: () => Promise<void>, done?: string): Promise<boolean> {
  try {
    await action();
    if (done !== undefined) toast(done);
    return true;
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) window.dispatchEvent(new Event('token-refused'));
    else toast(error instanceof Error ? error.message : String(error), 'fault');
    return false;
  }
}

/** Asks before something is lost. @returns true when confirmed; Escape means no */
export function confirmed(question: string, explanation: string, verb: string): Promise<boolean> {
  return new Promise((resolve) => {
    const dialog = el('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-question' });
    const close = (answer: boolean): void => {
      dialog.returnValue = answer ? 'yes' : 'no';
      dialog.close();
    };
    dialog.append(
      el('h2', { id: 'dialog-question' }, question),
      el('p', {}, explanation),
      el(
        'div',
        { class: 'dialog-actions' },
        button('Keep', 'quiet', () => close(false)),
        button(verb, 'danger', () => close(true)),
      ),
    );
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A button that copies what `textOf` gives at that moment and says so on itself. */
export function copyButton(label: string, textOf: () => string, name: string): HTMLButtonElement {
  const element = button(label, 'quiet', async () => {
    const isCopied = await copyText(textOf());
    setText(element, isCopied ? 'Copied' : 'Select and copy');
    announce(isCopied ? `${name} copied` : `${name} could not be copied`);
    setTimeout(() => setText(element, label), 1_800);
  });
  element.setAttribute('aria-label', `Copy ${name}`);
  return element;
}

// What a page offers to tests and overlays: `window.headwater.state()`.
import type { SessionState } from './session.ts';

declare global {
  interface Window {
    /** Present on watch and embed pages. */
    headwater?: { state(): SessionState };
  }
}

/** Publishes the state of this page's session. */
export function expose(state: () => SessionState): void {
  window.headwater = { state };
}

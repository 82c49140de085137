// Where the browser pages that `npm run build` makes lie, from source and from dist alike.
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute folder of a built page, with index.html inside; ends without a slash. */
export function builtFolder(name: 'player' | 'dashboard'): string {
  const isBuilt = import.meta.url.includes('/dist/platform/runtime/');
  const folder = fileURLToPath(new URL(isBuilt ? `../../${name}` : `../../dist/${name}`, import.meta.url));
  return folder.endsWith(sep) ? folder.slice(0, -1) : folder;
}

// The viewers' pages: home, watch, embed and their files, read into memory at the start. A request names an entry of a table, never a file.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { EdgeList } from '../platform/contract/playback.ts';
import { codeOf } from '../platform/runtime/errors.ts';
import type { EdgeAnswer, EdgeRequest, Headers } from './messages.ts';
import { pageHeaders } from './page-security.ts';
import { CORS, objectReply, textReply } from './replies.ts';

type PageFile = { body: Buffer; type: string; etag: string };

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.map': 'application/json',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
};
const PAGE = /^\/(watch|embed)\/[A-Za-z0-9]{16,40}$/;
const HASHED_FOR = 'public, max-age=31536000, immutable';
/** Asked for by name from outside the pages; the build gives its file a hashed one. */
const ICON = '/favicon.svg';
const NOT_BUILT = 'The viewer pages are not built. Run `npm run build` and start again.';

export class Pages {
  readonly #folder: string;
  readonly #edges: () => string[];
  readonly #loadable: () => string[];
  #files = new Map<string, PageFile>();

  /**
   * @param folder built pages
   * @param edges public base addresses of all edges in use, this one first
   * @param loadable those that a page may have to load from while it is open: drained ones come back
   */
  constructor(folder: string, edges: () => string[], loadable: () => string[] = edges) {
    this.#folder = folder;
    this.#edges = edges;
    this.#loadable = loadable;
  }

  /** Reads every file of the folder; a missing folder leaves the table empty. */
  async load(): Promise<void> {
    const files = new Map<string, PageFile>();
    for (const name of await listFiles(this.#folder)) {
      const type = TYPES[extname(name)];
      if (type === undefined) continue;
      const body = await readFile(join(this.#folder, name));
      const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`;
      files.set(`/${name.replaceAll('\\', '/')}`, { body, type, etag });
    }
    const icon = [...files].find(([name]) => /^\/assets\/favicon[^/]*\.svg$/.test(name));
    if (icon !== undefined && !files.has(ICON)) files.set(ICON, icon[1]);
    this.#files = files;
  }

  /**
   * @param path of the request, without query
   * @returns null when it is no page
   */
  answer(request: EdgeRequest, path: string): EdgeAnswer | null {
    if (path === '/edges.json') return this.#edgeList(request);
    const page = path === '/' ? 'index' : PAGE.exec(path)?.[1];
    if (page !== undefined) return this.#page(request, page);
    if (path.endsWith('.html') || !this.#files.has(path)) return null;
    const isHashed = path.startsWith('/assets/');
    return this.#file(request, path, { 'cache-control': isHashed ? HASHED_FOR : 'public, max-age=3600' });
  }

  #page(request: EdgeRequest, name: string): EdgeAnswer {
    const headers = {
      ...pageHeaders([...this.#edges(), ...this.#loadable()], name === 'embed'),
      'cache-control': 'public, max-age=0, must-revalidate',
    };
    return (
      this.#file(request, `/${name}.html`, headers) ??
      textReply(request, 'page', 'local', 503, NOT_BUILT, { ...headers, 'cache-control': 'no-store' })
    );
  }

  #file(request: EdgeRequest, path: string, headers: Headers): EdgeAnswer | null {
    const file = this.#files.get(path);
    if (file === undefined) return null;
    const all = { ...CORS, ...headers, 'accept-ranges': 'bytes', 'content-type': file.type, etag: file.etag };
    return objectReply(request, 'page', 'local', { headers: all, etag: file.etag, body: file.body, ageS: 0 });
  }

  #edgeList(request: EdgeRequest): EdgeAnswer {
    const list: EdgeList = { edges: this.#edges() };
    return textReply(request, 'page', 'local', 200, JSON.stringify(list), {
      ...CORS,
      'content-type': 'application/json',
      'cache-control': 'public, max-age=5',
    });
  }
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

// Writes docs/configuration.md from the settings table and docs/errors.md from the error classes. A test fails when they are stale.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type SettingName, settings, variableOf } from '../../platform/contract/settings.ts';

const FOLDERS = ['platform', 'ingest', 'transcoder', 'origin', 'edge-cache', 'api', 'ops'];

/** The page of all settings. */
export function configurationPage(): string {
  const rows = (Object.keys(settings) as SettingName[]).map((name) => {
    const unset = settings[name].schema.safeParse(undefined);
    const value = unset.success ? unset.data : undefined;
    const isEmpty = value === undefined || value === null || Object.keys(Object(value)).length === 0;
    const shown = isEmpty && typeof value !== 'number' && typeof value !== 'boolean' ? '-' : `\`${String(value)}\``;
    return `| \`${variableOf(name)}\` | ${shown} | ${settings[name].text} |`;
  });
  return [
    '# Configuration',
    '',
    'Written by `npm run docs` from `platform/contract/settings.ts`; do not edit by hand. Settings are environment variables. An unknown or bad `HEADWATER_*` variable stops the start; all faults are listed at once.',
    '',
    '| Variable | Default | What it is |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

type ErrorRow = { code: string; className: string; file: string; source: string; isRetryable: boolean; doc: string };

/** Error classes in one source file: `class X extends Y { constructor(...) { super('CODE', ..., { source: 'client', retryable: false }) } }`. */
export function errorClasses(file: string, text: string): ErrorRow[] {
  const rows: ErrorRow[] = [];
  for (const match of text.matchAll(
    /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?export class (\w+) extends AppError \{([\s\S]*?)\n\}/g,
  )) {
    const [, doc = '', className = '', body = ''] = match;
    const code = /super\(\s*'([A-Z_0-9]+)'/.exec(body)?.[1];
    if (code === undefined) continue;
    const source = /source: '(client|upstream|internal)'/.exec(body)?.[1] ?? 'varies';
    const text =
      doc
        .replace(/\s*\*\s?/g, ' ')
        .replace(/\s+/g, ' ')
        .split(' @')[0] ?? '';
    rows.push({ code, className, file, source, isRetryable: /retryable: true/.test(body), doc: text.trim() });
  }
  return rows;
}

/** The page of all errors. */
export async function errorsPage(root: string): Promise<string> {
  const rows: ErrorRow[] = [];
  for (const folder of FOLDERS) {
    for (const entry of (await readdir(join(root, folder), { recursive: true })).sort()) {
      if (!entry.endsWith('.ts') || entry.endsWith('.test.ts')) continue;
      rows.push(...errorClasses(`${folder}/${entry}`, await readFile(join(root, folder, entry), 'utf8')));
    }
  }
  rows.sort((a, b) => (a.code < b.code ? -1 : 1));
  return [
    '# Errors',
    '',
    'Written by `npm run docs` from the error classes; do not edit by hand. `Whose`: client (the caller can mend it), upstream (a store, Redis or another role failed), internal (ours). `Retry`: another try can help. Callers of the API see `code` in the problem document.',
    '',
    '| Code | Whose | Retry | What it means | Class |',
    '|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| \`${row.code}\` | ${row.source} | ${row.isRetryable ? 'yes' : 'no'} | ${row.doc} | \`${row.className}\`, ${row.file} |`,
    ),
    '',
  ].join('\n');
}

/** Writes both pages below `root`. */
export async function writeDocs(root: string): Promise<void> {
  await writeFile(join(root, 'docs', 'configuration.md'), configurationPage());
  await writeFile(join(root, 'docs', 'errors.md'), await errorsPage(root));
}

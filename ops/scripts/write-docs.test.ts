import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configurationPage, errorClasses, errorsPage } from './write-docs.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('generated pages', () => {
  it('are as the sources say (npm run docs)', async () => {
    expect(await readFile(join(ROOT, 'docs/configuration.md'), 'utf8')).toBe(configurationPage());
    expect(await readFile(join(ROOT, 'docs/errors.md'), 'utf8')).toBe(await errorsPage(ROOT));
  });

  it('find a class with its code, source and words', () => {
    const text = `/** It broke. @throws never */
export class ItBroke extends AppError {
  constructor() {
    super('IT_BROKE', 'it broke', { source: 'upstream', retryable: true });
  }
}`;
    expect(errorClasses('x.ts', text)).toEqual([
      { code: 'IT_BROKE', className: 'ItBroke', file: 'x.ts', source: 'upstream', isRetryable: true, doc: 'It broke.' },
    ]);
  });
});

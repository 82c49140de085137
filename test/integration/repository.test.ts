// Must show H and I: what the architecture page names exists; walls and loops fail the check; the fixed packages and folders are there.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../platform/contract/nodes.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGES = ['fluent-ffmpeg', 'hls.js', 'express', 'minio', 'bull', 'redis', 'node-media-server', 'supertest'];
/** The one file that names each third-party client. */
const HOMES: Record<string, string> = {
  'fluent-ffmpeg': 'transcoder/ffmpeg-jobs.ts',
  'hls.js': 'player/playback.ts',
  minio: 'platform/adapters/storage-s3.ts',
  bull: 'platform/adapters/queue.ts',
  redis: 'platform/adapters/redis.ts',
  'node-media-server': 'ingest/rtmp-server.ts',
};

const exists = (path: string): Promise<boolean> =>
  stat(join(ROOT, path)).then(
    () => true,
    () => false,
  );
const readText = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8');

describe('the repository', () => {
  it('holds the seven top-level names', async () => {
    for (const name of [
      'ingest',
      'transcoder',
      'origin',
      'edge-cache',
      'player',
      'package.json',
      'tsconfig.json',
      'docker-compose.yml',
    ]) {
      expect(await exists(name), name).toBe(true);
    }
  });

  it('depends on the eight packages directly, and each client is named in its file', async () => {
    const manifest = JSON.parse(await readText('package.json')) as Record<
      'dependencies' | 'devDependencies',
      Record<string, string>
    >;
    const direct = { ...manifest.dependencies, ...manifest.devDependencies };
    for (const name of PACKAGES) expect(direct[name], name).toBeDefined();
    for (const [name, file] of Object.entries(HOMES)) {
      expect(await readText(file), `${name} in ${file}`).toMatch(
        new RegExp(`['"]${name.replace('.', '\\.')}(/[^'"]*)?['"]`),
      );
    }
  });

  it('says one version', async () => {
    const manifest = JSON.parse(await readText('package.json')) as { version: string };
    expect(VERSION).toBe(manifest.version);
  });

  it('has every path that docs/architecture.md names', async () => {
    const text = await readText('docs/architecture.md');
    const paths = [...text.matchAll(/`([a-z][a-z0-9-]*(?:\/[a-z0-9.-]+)+)`/g)].map((match) => match[1] ?? '');
    expect(paths.length).toBeGreaterThan(40);
    for (const path of new Set(paths)) expect(await exists(path), path).toBe(true);
  });

  it('has every path that the README links to', async () => {
    const text = await readText('README.md');
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)]
      .map((match) => match[1] ?? '')
      .filter((link) => !link.startsWith('http'));
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) expect(await exists(link), link).toBe(true);
  });
});

describe('the folder walls', () => {
  let copy: string;

  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), 'headwater-walls-'));
    for (const name of ['biome.json', 'package.json', 'tsconfig.json', '.gitignore'])
      await cp(join(ROOT, name), join(copy, name));
    for (const name of ['origin', 'edge-cache', 'platform'])
      await cp(join(ROOT, name), join(copy, name), { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    await mkdir(join(copy, 'test'));
    await new Promise((resolve) => execFile('git', ['init', '-q'], { cwd: copy }, resolve));
  });
  afterAll(() => rm(copy, { recursive: true, force: true }));

  const lint = (): Promise<string> =>
    new Promise((resolve) => {
      const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
      execFile(
        process.execPath,
        [biome, 'lint', '--max-diagnostics=200', '.'],
        { cwd: copy, maxBuffer: 16 * 1024 * 1024 },
        (error, stdout, stderr) => resolve(`${error ? 'FAILED' : 'PASSED'}\n${stdout}${stderr}`),
      );
    });

  it('pass as they stand', async () => {
    expect((await lint()).split('\n')[0]).toBe('PASSED');
  });

  const violations: [string, string, string, RegExp][] = [
    [
      'a service that imports another',
      'origin/wall.ts',
      "import '../edge-cache/service.ts';\n",
      /Services never import each other/,
    ],
    [
      'a second file that names a client',
      'origin/wall.ts',
      "import * as minio from 'minio';\nexport const client = minio;\n",
      /named in platform\/adapters\/storage-s3\.ts only/,
    ],
    [
      'a platform file that imports upwards',
      'platform/contract/wall.ts',
      "import '../adapters/storage.ts';\n",
      /imports nothing of ours/,
    ],
    [
      'production code that imports a test',
      'origin/wall.ts',
      "import '../test/x.ts';\n",
      /Production code never imports/,
    ],
  ];
  it.each(violations)('stop %s', async (_name, file, text, message) => {
    await writeFile(join(copy, file), text);
    const output = await lint();
    await rm(join(copy, file));
    expect(output.split('\n')[0]).toBe('FAILED');
    expect(output).toMatch(message);
  });

  it('stop an import loop', async () => {
    await writeFile(
      join(copy, 'origin/loop-a.ts'),
      "import { b } from './loop-b.ts';\nexport const a = (): unknown => b;\n",
    );
    await writeFile(
      join(copy, 'origin/loop-b.ts'),
      "import { a } from './loop-a.ts';\nexport const b = (): unknown => a;\n",
    );
    const output = await lint();
    for (const name of ['loop-a.ts', 'loop-b.ts']) await rm(join(copy, 'origin', name));
    expect(output.split('\n')[0]).toBe('FAILED');
    expect(output).toContain('noImportCycles');
  });
});

describe('the tests themselves', () => {
  it('silence nothing', async () => {
    const marks = /\b(?:it|test|describe)\.(?:only|todo)\(|@ts-ignore|biome-ignore|\bas any\b/;
    const offenders: string[] = [];
    for (const folder of [
      'ingest',
      'transcoder',
      'origin',
      'edge-cache',
      'api',
      'player',
      'dashboard',
      'platform',
      'ops',
      'test',
    ]) {
      for (const entry of await readdir(join(ROOT, folder), { recursive: true })) {
        if (!entry.endsWith('.ts') || entry.endsWith('repository.test.ts')) continue;
        if (marks.test(await readText(join(folder, entry)))) offenders.push(join(folder, entry));
      }
    }
    expect(offenders).toEqual([]);
  });
});

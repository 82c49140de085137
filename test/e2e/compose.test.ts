// docker-compose.yml and Dockerfile, without Docker: checked by schema and linter, then run as local processes that play one asset.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalCompose, readComposeFile, startComposeLocally, substitute } from '../support/compose.ts';
import { BUNNY, probeFile } from '../support/media.ts';
import { hasMinio } from '../support/minio.ts';
import { requirePart } from '../support/parts.ts';
import { until } from '../support/platform.ts';
import { fetchMaster, putFile, saveRendition } from '../support/story.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const linters = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'headwater', 'lint-venv', 'bin');
const hasLinters = await requirePart(
  'hadolint and check-jsonschema',
  () => existsSync(join(linters, 'hadolint')),
  '`npm test` installs them from PyPI; needs python3 with venv',
);

const TOKEN = 'admin:compose-test-secret-0123456789';
const VALUES = {
  HEADWATER_ADMIN_TOKEN: TOKEN,
  HEADWATER_INTERNAL_SECRET: 'compose-test-internal-secret-0123456789',
  HEADWATER_REDIS_PASSWORD: 'compose-test-redis-password',
  HEADWATER_S3_ACCESS_KEY: 'composetest',
  HEADWATER_S3_SECRET_KEY: 'compose-test-s3-secret',
};

describe.runIf(hasLinters)('the deployment files', () => {
  it('fit the compose schema', async () => {
    const { stdout } = await run(join(linters, 'check-jsonschema'), [
      '--builtin-schema',
      'vendor.compose-spec',
      join(ROOT, 'docker-compose.yml'),
    ]);
    expect(stdout).toContain('ok');
  });

  it('pass hadolint', async () => {
    const { stdout } = await run(join(linters, 'hadolint'), [join(ROOT, 'ops', 'Dockerfile')]);
    expect(stdout).toBe('');
  });
});

describe('docker-compose.yml', () => {
  it('runs every service without root, read-only, with a health check, and holds no secret', async () => {
    const { services } = await readComposeFile();
    expect(Object.keys(services).sort()).toEqual([
      'api',
      'edge-1',
      'edge-2',
      'ingest',
      'minio',
      'origin-1',
      'origin-2',
      'redis',
      'transcoder-1',
      'transcoder-2',
    ]);
    for (const [name, service] of Object.entries(services)) {
      expect(service.user, name).toMatch(/^[1-9]\d*:[1-9]\d*$/);
      expect(service.read_only, name).toBe(true);
      expect(service.healthcheck?.test.length, name).toBeGreaterThan(1);
      for (const [key, value] of Object.entries(service.environment ?? {})) {
        if (/SECRET|PASSWORD|TOKEN|ACCESS_KEY/.test(key)) expect(value, `${name} ${key}`).toMatch(/^\$\{[A-Z0-9_]+:\?/);
      }
    }
    expect(() => substitute(String(services['api']?.environment?.['HEADWATER_ADMIN_TOKEN']), {})).toThrow(
      'HEADWATER_ADMIN_TOKEN',
    );
  });
});

describe.runIf(process.platform === 'linux' && (await hasMinio()))('its services as local processes', () => {
  let folder: string;
  let compose: LocalCompose;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headwater-compose-'));
    compose = await startComposeLocally(VALUES, folder);
    for (const { name, host, output, process: child } of compose.services.filter(
      (service) => !['redis', 'minio'].includes(service.name),
    )) {
      await until(
        `${name} ready`,
        60_000,
        async () => {
          if (child.exitCode !== null) throw new Error(`${name} ended: ${output()}`);
          const answer = await fetch(`http://${host}:9100/readyz`).catch(() => null);
          return answer?.ok;
        },
        100,
      );
    }
  }, 180_000);

  afterAll(async () => {
    await compose?.stop();
    await rm(folder, { recursive: true, force: true });
  }, 120_000);

  it('take an upload and play it through both edges', async () => {
    const api = `http://${compose.hostOf('api')}:8000`;
    const call = async (method: string, path: string, body?: unknown) => {
      const answer = await fetch(`${api}${path}`, {
        method,
        headers: {
          authorization: `Basic ${Buffer.from(TOKEN).toString('base64')}`,
          'content-type': 'application/json',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return (await answer.json()) as { data: Record<string, unknown> };
    };
    const upload = await call('POST', '/video/v1/uploads', {
      cors_origin: '*',
      new_asset_settings: { playback_policies: ['public'] },
    });
    const address = new URL(String(upload.data['url']));
    expect(await putFile(`${api}${address.pathname}`, BUNNY)).toBeLessThan(300);
    const asset = await until(
      'the asset',
      120_000,
      async () => {
        const { data } = await call('GET', `/video/v1/assets/${String(upload.data['asset_id'])}`);
        if (data['status'] === 'errored') throw new Error(JSON.stringify(data['errors']));
        return data['status'] === 'ready' ? data : null;
      },
      250,
    );
    const [playback] = asset['playback_ids'] as { id: string }[];
    for (const edge of ['edge-1', 'edge-2']) {
      const master = await fetchMaster(`http://${compose.hostOf(edge)}:8080`, playback?.id ?? '');
      const path = join(folder, `${edge}.mp4`);
      await saveRendition(master.variants[0]?.uri ?? '', path);
      expect((await probeFile(path)).streams[0]).toMatchObject({ codec_name: 'h264' });
    }
  }, 180_000);
});

// Deliver 13: metrics of every role pass promtool, health answers, logs are JSON without secrets.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publish, RABBIT } from '../support/media.ts';
import { canRun, requirePart } from '../support/parts.ts';
import { type Platform, startPlatform } from '../support/platform.ts';
import {
  createStream,
  createUpload,
  fetchMaster,
  fetchMedia,
  fetchText,
  putFile,
  waitUntilLive,
  waitUntilReady,
} from '../support/story.ts';

const hasPromtool = await requirePart(
  'promtool',
  () => canRun('promtool', ['--version']),
  'apt-get install prometheus',
);

/** What each role must show (docs/runbook.md, metrics). */
const EXPECTED: Record<string, string[]> = {
  api: [
    'headwater_api_requests_total',
    'headwater_queue_depth',
    'headwater_queue_oldest_age_seconds',
    'nodejs_eventloop_lag_seconds',
  ],
  ingest: [
    'headwater_ingest_bitrate_bytes',
    'headwater_ingest_received_bytes_total',
    'headwater_ingest_publishers',
    'nodejs_eventloop_lag_seconds',
  ],
  transcoder: ['headwater_job_duration_seconds', 'nodejs_eventloop_lag_seconds'],
  origin: ['headwater_origin_requests_total', 'headwater_live_segment_age_seconds', 'nodejs_eventloop_lag_seconds'],
  edge: [
    'headwater_edge_requests_total',
    'headwater_edge_upstream_requests_total',
    'headwater_edge_cache_bytes',
    'nodejs_eventloop_lag_seconds',
  ],
};

let platform: Platform;
let streamKey: string;
let uploadSecret: string;

beforeAll(async () => {
  platform = await startPlatform({ storage: 'fs', env: { HEADWATER_LOG_LEVEL: 'debug' } });
  const stream = await createStream(platform);
  streamKey = stream.stream_key;
  const publisher = publish(stream.address, 'numbered', { size: '320:180' });
  const upload = await createUpload(platform);
  uploadSecret = upload.url.split('.').at(-1) ?? '';
  await putFile(upload.url, RABBIT);
  await waitUntilReady(platform, upload.asset_id, 90_000);
  const edge = platform.edges[0] ?? '';
  await waitUntilLive(edge, stream.playback);
  const media = await fetchMedia((await fetchMaster(edge, stream.playback)).variants[0]?.uri ?? '');
  await fetch(media.segments[0]?.uri ?? '');
  await platform.call('GET', '/video/v1/assets');
  await publisher.stop();
}, 180_000);

afterAll(() => platform?.stop());

async function promtool(text: string): Promise<string> {
  const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdin.end(text);
  const [code] = (await once(child, 'exit')) as [number];
  return code === 0 ? '' : output;
}

describe('a running platform', () => {
  it.each(Object.keys(EXPECTED))('%s shows its metrics and health', async (role) => {
    const roles = platform.state().processes.filter((item) => item.role === role);
    expect(roles.length).toBeGreaterThan(0);
    for (const item of roles) {
      expect(await fetchText(`${item.private_url}/healthz`)).toContain('ok');
      expect(await fetchText(`${item.private_url}/readyz`)).toContain('ready');
      const text = await fetchText(`${item.private_url}/metrics`);
      for (const name of EXPECTED[role] ?? []) expect(text, `${item.name} ${name}`).toContain(`# TYPE ${name} `);
    }
  });

  it.runIf(hasPromtool)('passes promtool', async () => {
    for (const item of platform.state().processes.filter((entry) => entry.private_url !== null)) {
      expect(await promtool(await fetchText(`${item.private_url}/metrics`)), item.name).toBe('');
    }
  });

  it('logs JSON lines that name service and node, and no secret', async () => {
    const secrets = Object.values(
      JSON.parse(await readFile(join(platform.dataDir, 'secrets.json'), 'utf8')) as Record<string, string>,
    );
    const folder = join(platform.dataDir, 'logs');
    for (const file of (await readdir(folder)).filter((name) => !/^(redis|minio)/.test(name))) {
      const text = await readFile(join(folder, file), 'utf8');
      for (const secret of [...secrets, streamKey, uploadSecret])
        expect(text.includes(secret), `a secret in ${file}`).toBe(false);
      for (const line of text.split('\n').filter((entry) => entry !== '')) {
        const entry = JSON.parse(line) as Record<string, unknown>;
        expect(entry).toMatchObject({
          service: expect.any(String),
          node: expect.any(String),
          msg: expect.any(String),
          level: expect.any(String),
        });
      }
    }
  });
});

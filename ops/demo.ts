// `npm run demo`: a test picture with a burnt-in clock pushed over RTMP, and the bundled clip uploaded, into the running platform.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { AppError } from '../platform/runtime/errors.ts';
import { delay } from '../platform/runtime/waits.ts';
import { type RunState, readRunState } from './run-state.ts';
import { loadSecrets } from './secrets.ts';

/** The demo cannot run; the message says what to do. */
export class DemoFailed extends AppError {
  constructor(message: string) {
    super('DEMO_FAILED', message, { source: 'client', retryable: false });
  }
}

const CLIP = fileURLToPath(new URL('../../test/media/bigbuckbunny.mp4', import.meta.url));
const WAIT_LIMIT_MS = 120_000;

const NewUpload = z.object({ data: z.object({ url: z.string(), asset_id: z.string() }) });
const NewStream = z.object({
  data: z.object({
    id: z.string(),
    stream_key: z.string(),
    playback_ids: z.array(z.object({ id: z.string() })).min(1),
  }),
});
const AssetView = z.object({
  data: z.object({
    status: z.string(),
    playback_ids: z.array(z.object({ id: z.string() })).min(1),
    errors: z.object({ messages: z.array(z.string()) }).nullish(),
  }),
});

type Call = <T>(schema: z.ZodType<T>, method: string, path: string, body?: unknown) => Promise<T>;

/** Ends when the operator presses Ctrl-C. */
export async function runDemo(dataDir: string, print: (line: string) => void): Promise<void> {
  const running = await readRunState(dataDir);
  if (!running)
    throw new DemoFailed(
      `nothing runs on ${dataDir}: start the platform first (npm start), then run the demo in a second terminal`,
    );
  const call = caller(running, await adminToken(dataDir));
  const edge = running.edge_urls[0] ?? '';

  const stream = await call(NewStream, 'POST', '/video/v1/live-streams', {
    title: 'Test picture with a clock',
    playback_policies: ['public'],
    latency_mode: 'low',
  });
  const publisher = publish(`${running.rtmp_url}/${stream.data.stream_key}`);
  print(`live:   ${edge}/watch/${stream.data.playback_ids[0]?.id}`);

  const upload = await call(NewUpload, 'POST', '/video/v1/uploads', {
    cors_origin: '*',
    new_asset_settings: {
      playback_policies: ['public'],
      title: 'Big Buck Bunny (clip)',
      description: '(c) Blender Foundation, www.bigbuckbunny.org, CC-BY 3.0',
    },
  });
  const sent = await fetch(upload.data.url, {
    method: 'PUT',
    body: await readFile(CLIP),
    headers: { 'content-type': 'video/mp4' },
  });
  if (!sent.ok) throw new DemoFailed(`the upload was refused with status ${sent.status}`);
  const playback = await untilReady(call, upload.data.asset_id);
  print(`video:  ${edge}/watch/${playback}`);
  print('The live picture runs until Ctrl-C.');
  await ended(publisher);
}

async function adminToken(dataDir: string): Promise<string> {
  return process.env['HEADWATER_ADMIN_TOKEN'] ?? (await loadSecrets(dataDir)).secrets.admin_token;
}

function caller(running: RunState, token: string): Call {
  const authorization = `Basic ${Buffer.from(token).toString('base64')}`;
  return async (schema, method, path, body) => {
    const answer = await fetch(`${running.api_url}${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new DemoFailed(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
    return schema.parse(await answer.json());
  };
}

async function untilReady(call: Call, asset: string): Promise<string> {
  const limit = Date.now() + WAIT_LIMIT_MS;
  while (Date.now() < limit) {
    const { data } = await call(AssetView, 'GET', `/video/v1/assets/${asset}`);
    if (data.status === 'ready') return data.playback_ids[0]?.id ?? '';
    if (data.status === 'errored')
      throw new DemoFailed(`the clip could not be transcoded: ${data.errors?.messages.join('; ')}`);
    await delay(500);
  }
  throw new DemoFailed(`the clip was not ready after ${WAIT_LIMIT_MS / 1_000} s`);
}

/** Colour bars, a running clock where ffmpeg can draw text (else the picture's own counter), a soft tone. */
function publish(address: string): ChildProcess {
  const size = '1280x720';
  const filters = spawnSync('ffmpeg', ['-hide_banner', '-filters'], { encoding: 'utf8' }).stdout ?? '';
  const clock =
    "drawtext=text='%{localtime\\:%H\\\\\\:%M\\\\\\:%S}':fontsize=96:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=16:x=(w-tw)/2:y=h-th-60";
  const video = filters.includes(' drawtext ') ? ['-vf', clock] : [];
  const args = [
    '-hide_banner',
    '-loglevel',
    'error',
    '-re',
    '-f',
    'lavfi',
    '-i',
    `testsrc2=size=${size}:rate=30`,
    '-f',
    'lavfi',
    '-i',
    'sine=frequency=330:sample_rate=48000',
    ...video,
    '-c:v',
    'libx264',
    '-preset',
    'veryfast',
    '-tune',
    'zerolatency',
    '-b:v',
    '2500k',
    '-g',
    '60',
    '-pix_fmt',
    'yuv420p',
    '-c:a',
    'aac',
    '-b:a',
    '128k',
    '-ac',
    '2',
    '-f',
    'flv',
    address,
  ];
  return spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function ended(publisher: ChildProcess): Promise<void> {
  const stop = () => publisher.kill('SIGINT');
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return new Promise((resolve, reject) => {
    publisher.once('exit', (code, signal) => {
      if (code === 0 || code === 255 || signal !== null) resolve();
      else reject(new DemoFailed(`the publisher ended with code ${code}`));
    });
    publisher.once('error', reject);
  });
}

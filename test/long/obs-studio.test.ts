// OBS Studio itself, under a virtual display, pushes to the platform: what a broadcaster does on the first day.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probeFile } from '../support/media.ts';
import { canRun, requirePart } from '../support/parts.ts';
import { type Platform, startPlatform, until } from '../support/platform.ts';
import { createStream, fetchMaster, fetchMedia, saveRendition, waitUntilLive } from '../support/story.ts';

const hasObs = await requirePart(
  'OBS Studio with a virtual display',
  async () => (await canRun('obs', ['--version'])) && (await canRun('xvfb-run', ['--help'])),
  'apt-get install obs-studio xvfb libgl1-mesa-dri',
);

/** Settings as OBS 29 keeps them: a custom RTMP service, x264 at 640x360, one colour source. */
async function writeObsSettings(home: string, server: string, key: string): Promise<void> {
  const root = join(home, '.config', 'obs-studio');
  const profile = join(root, 'basic', 'profiles', 'Test');
  const scenes = join(root, 'basic', 'scenes');
  await mkdir(profile, { recursive: true });
  await mkdir(scenes, { recursive: true });
  const global = [
    '[General]',
    'FirstRun=true',
    'LastVersion=486539266',
    'EnableAutoUpdates=false',
    '[Basic]',
    'Profile=Test',
    'ProfileDir=Test',
    'SceneCollection=Test',
    'SceneCollectionFile=Test',
  ];
  await writeFile(join(root, 'global.ini'), `${global.join('\n')}\n`);
  const basic = [
    ...['[General]', 'Name=Test', '[Output]', 'Mode=Simple', 'Reconnect=true', 'RetryDelay=2'],
    ...['[SimpleOutput]', 'StreamEncoder=x264', 'VBitrate=800', 'ABitrate=96', 'Preset=ultrafast'],
    ...['[Video]', 'BaseCX=640', 'BaseCY=360', 'OutputCX=640', 'OutputCY=360', 'FPSType=0', 'FPSCommon=30'],
    ...['[Audio]', 'SampleRate=48000', 'ChannelSetup=Stereo'],
  ];
  await writeFile(join(profile, 'basic.ini'), `${basic.join('\n')}\n`);
  const service = { type: 'rtmp_custom', settings: { server, key, use_auth: false, bwtest: false } };
  await writeFile(join(profile, 'service.json'), JSON.stringify(service));
  const item = { name: 'Colour', id: 1, visible: true, pos: { x: 0, y: 0 }, scale: { x: 1, y: 1 } };
  const collection = {
    name: 'Test',
    current_scene: 'Scene',
    current_program_scene: 'Scene',
    scene_order: [{ name: 'Scene' }],
    sources: [
      { id: 'scene', name: 'Scene', settings: { id_counter: 1, items: [item] } },
      {
        id: 'color_source',
        versioned_id: 'color_source_v3',
        name: 'Colour',
        settings: { color: 4_278_255_360, width: 640, height: 360 },
      },
    ],
  };
  await writeFile(join(scenes, 'Test.json'), JSON.stringify(collection));
}

function startObs(home: string): ChildProcess {
  const flags = [
    '--startstreaming',
    '--multi',
    '--minimize-to-tray',
    '--disable-updater',
    '--disable-missing-files-check',
    '--disable-shutdown-check',
  ];
  const words = ['-a', '-s', '-screen 0 1280x720x24', 'obs', ...flags, '--profile', 'Test', '--collection', 'Test'];
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    XDG_RUNTIME_DIR: home,
    LIBGL_ALWAYS_SOFTWARE: '1',
    QT_QPA_PLATFORM: 'xcb',
  };
  return spawn('xvfb-run', words, { env, detached: true, stdio: ['ignore', 'ignore', 'ignore'] });
}

describe.skipIf(!hasObs)('OBS Studio', () => {
  let platform: Platform;
  let home: string;
  let obs: ChildProcess | null = null;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'headwater-obs-'));
    platform = await startPlatform({ storage: 'fs' });
  }, 120_000);

  afterAll(async () => {
    if (obs?.pid !== undefined && obs.exitCode === null) {
      const exit = once(obs, 'exit');
      process.kill(-obs.pid, 'SIGKILL');
      await exit;
    }
    await platform?.stop();
    await rm(home, { recursive: true, force: true });
  }, 60_000);

  it('connects with Server and Stream key as the status page words them, and is watched', async () => {
    const stream = await createStream(platform);
    await writeObsSettings(home, platform.state().rtmp_url, stream.stream_key);
    obs = startObs(home);
    const edge = platform.edges[0] ?? '';
    await waitUntilLive(edge, stream.playback, 90_000);
    const master = await fetchMaster(edge, stream.playback);
    const playlist = master.variants[0]?.uri ?? '';
    await until('ten seconds of media', 60_000, async () => (await fetchMedia(playlist)).segments.length >= 5, 500);
    const file = join(home, 'rendition.mp4');
    await saveRendition(playlist, file);
    expect((await probeFile(file)).streams[0]).toMatchObject({ codec_name: 'h264', width: 640, height: 360 });
    expect(master.audio).not.toBeNull();
  }, 240_000);
});

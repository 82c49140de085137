// ffmpeg is a script here that does what the confined one can do at the worst moment; what real ones do stands in test/integration/vod-*.
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../test/support/temp.ts';
import { transcode } from './ffmpeg-jobs.ts';

test('a stop reaches what outlives the head of the group and holds the output open', async () => {
  const folder = await tempDir('ffmpeg-jobs');
  const ffmpeg = join(folder, 'ffmpeg');
  // The head goes at SIGTERM; its child, as the first process of a namespace, is deaf to it.
  const text = `#!/bin/sh
case "$*" in *pipe:1*) ;; *) exec ffmpeg "$@" ;; esac
exec setsid sh -c '(trap "" TERM; echo begun; exec sleep 60) & trap "exit 1" TERM; wait'
`;
  await writeFile(ffmpeg, text);
  await chmod(ffmpeg, 0o700);
  const stop = new AbortController();
  const job = { programs: { ffmpeg, ffprobe: ffmpeg }, container: { name: 'mp4', demuxer: 'mov' }, threads: 1 };
  const run = transcode(job, { outputArgs: ['-f', 'mp4'], isVideo: true, limitMs: 30_000, signal: stop.signal });
  expect(Buffer.from((await run.next()).value ?? []).toString()).toBe('begun\n');
  stop.abort(new Error('enough'));
  await expect(run.next()).rejects.toThrow('enough');
});

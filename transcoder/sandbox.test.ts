// The confining scripts: what they say, word by word.
import { describe, expect, it } from 'vitest';
import { bwrapArgs, confinementScript, type SandboxDriver } from './sandbox.ts';

const tools = {
  ffmpeg: '/usr/bin/ffmpeg',
  ffprobe: '/usr/bin/ffprobe',
  bwrap: '/usr/bin/bwrap',
  setsid: '/usr/bin/setsid',
  setpriv: '/usr/bin/setpriv',
  timeout: '/usr/bin/timeout',
  nice: '/usr/bin/nice',
};
const folders = [
  { path: '/usr', target: null },
  { path: '/lib', target: 'usr/lib' },
];
const limits = { memoryBytes: 1024 ** 3, cpuS: 100, fileBytes: 1024 ** 2, openFiles: 64 };
const script = (driver: SandboxDriver, changes: Partial<Parameters<typeof confinementScript>[0]> = {}) =>
  confinementScript({
    driver,
    tools,
    folders,
    limits,
    filesFolder: "/data/it's here",
    program: tools.ffmpeg,
    wallS: 0,
    ...changes,
  });

describe('bwrapArgs', () => {
  const args = bwrapArgs('/data/job', folders, '/opt/ffmpeg/bin/ffmpeg').join(' ');
  it.each([
    '--unshare-all',
    '--die-with-parent',
    '--new-session',
    '--clearenv',
    '--cap-drop ALL',
    '--ro-bind /usr /usr',
    '--symlink usr/lib /lib',
    '--bind /data/job /data/job --ro-bind-try /data/job/source /data/job/source',
    '--ro-bind /opt/ffmpeg/bin /opt/ffmpeg/bin',
  ])('has %s', (words) => {
    expect(args).toContain(words);
  });
  it.each(['--share-net', '/etc ', '/home', '/root'])('has no %s', (words) => {
    expect(args).not.toContain(words);
  });
});

describe('confinementScript', () => {
  it('limits, then becomes the program', () => {
    const lines = script('bwrap').split('\n');
    expect(lines[0]).toBe('#!/bin/sh');
    expect(lines).toContain('ulimit -v 1048576 2>/dev/null || :');
    expect(lines).toContain('ulimit -t 100 2>/dev/null || :');
    expect(lines).toContain('ulimit -f 2048 2>/dev/null || :');
    expect(lines).toContain('ulimit -n 64 2>/dev/null || :');
    expect(lines.at(-2)).toMatch(/^exec '\/usr\/bin\/setsid' '\/usr\/bin\/setpriv' '--pdeathsig' 'KILL' .* "\$@"$/);
  });
  it('quotes folders', () => {
    expect(script('bwrap')).toContain("cd '/data/it'\\''s here' || exit 70");
  });
  it('bounds the wall clock where the caller cannot', () => {
    expect(script('prlimit')).not.toContain('timeout');
    expect(script('prlimit', { wallS: 60 })).toContain("'/usr/bin/timeout' '-k' '2' '60'");
  });
  it.each(['prlimit', 'container'] as const)('of %s clears the environment and does without bwrap', (driver) => {
    expect(script(driver)).toContain("'env' '-i'");
    expect(script(driver)).not.toContain('bwrap');
  });
  it('lives without programs that the machine lacks', () => {
    const bare = { ...tools, setsid: '', setpriv: '', timeout: '', nice: '' };
    expect(script('prlimit', { tools: bare })).toContain("exec 'env' '-i' 'LC_ALL=C' '/usr/bin/ffmpeg' \"$@\"");
  });
});

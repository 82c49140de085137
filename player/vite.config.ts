// Bundles the viewers' pages into dist/player: three HTML files, everything else hashed below /assets.
import { defineConfig } from 'vite';

const at = (path: string): string => new URL(path, import.meta.url).pathname;

export default defineConfig({
  root: at('.'),
  base: '/',
  publicDir: false,
  build: {
    outDir: at('../dist/player'),
    emptyOutDir: true,
    target: 'es2022',
    assetsDir: 'assets',
    // Every file has its own address: the content policy of the pages allows no data: scripts or workers.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1_200,
    rollupOptions: { input: { index: at('./index.html'), watch: at('./watch.html'), embed: at('./embed.html') } },
  },
});

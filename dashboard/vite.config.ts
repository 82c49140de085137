// Bundles the status page into dist/dashboard: index.html, everything else hashed below /assets.
import { defineConfig } from 'vite';

const at = (path: string): string => new URL(path, import.meta.url).pathname;

export default defineConfig({
  root: at('.'),
  base: '/',
  publicDir: false,
  build: {
    outDir: at('../dist/dashboard'),
    emptyOutDir: true,
    target: 'es2022',
    assetsDir: 'assets',
    // Every file has its own address: the content policy of the page allows no data: scripts or workers.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { index: at('./index.html') } },
  },
});

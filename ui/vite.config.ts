import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// `npm run dev` asks the Immune that runs here.
const server = process.env.IMMUNE_URL ?? 'http://127.0.0.1:7700';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2023',
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One script and one style: as sixty small files they weigh an eighth more when compressed,
    // and no page waits for its own part. So nothing is imported dynamically.
    cssCodeSplit: false,
    chunkSizeWarningLimit: 1_000,
  },
  worker: { format: 'es' },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: server, changeOrigin: true },
      '/metrics': { target: server, changeOrigin: true },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});

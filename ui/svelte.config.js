import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

// A component's mark in the style sheet is its place in the list of all: short, and the same in
// every build.
const src = join(import.meta.dirname, 'src');
const components = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.svelte'))
  .sort();

export default {
  preprocess: vitePreprocess(),
  compilerOptions: {
    runes: true,
    cssHash: ({ filename, hash }) => {
      const place = components.indexOf(relative(src, filename));
      // One that was added while the development server runs.
      return place < 0 ? `_${hash(filename)}` : `_${place.toString(36)}`;
    },
  },
};

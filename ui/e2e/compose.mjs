// Pictures as they are kept in the repository: scaled, two beside each other where there are two, and
// with a palette, so that they stay small. The drawing is done by the browser; the PNG is ours.

import { readFileSync, writeFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';

const WIDTH_MAX = 1_800;
const GAP = 24;
/** Of the palette: greys, and others, which are seen though they are few. */
const COLOURS = { grey: 72, other: 152 };

/** Draws the PNG files from left to right at one height of a pixel's size, and writes them as one. */
export async function compose(
  page,
  sources,
  target,
  { widthMax = WIDTH_MAX, heightMax = Infinity } = {},
) {
  const images = sources.map((file) => readFileSync(file).toString('base64'));
  const { width, height, palette, pixels } = await page.evaluate(drawn, {
    images,
    widthMax,
    heightMax: Math.min(heightMax, 1e6),
    gap: GAP,
    colours: COLOURS,
  });
  writeFileSync(target, png(width, height, palette, Buffer.from(pixels, 'base64')));
}

/** Runs in the page. Colours are those used most, of 64 shades a channel; others get the nearest. */
async function drawn({ images, widthMax, heightMax, gap, colours }) {
  const loaded = await Promise.all(
    images.map(async (data) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      return image;
    }),
  );
  const gaps = gap * (loaded.length - 1);
  const all = loaded.reduce((sum, image) => sum + image.width, 0);
  const scale = Math.min(1, (widthMax - gaps) / all);
  const sizes = loaded.map((image) =>
    [image.width, image.height].map((n) => Math.round(n * scale)),
  );
  const width = sizes.reduce((sum, [wide]) => sum + wide, gaps);
  const height = Math.min(heightMax, Math.max(...sizes.map(([, tall]) => tall)));
  const canvas = new OffscreenCanvas(width, height);
  const paint = canvas.getContext('2d');
  paint.fillStyle = '#8a8a86';
  paint.fillRect(0, 0, width, height);
  paint.imageSmoothingQuality = 'high';
  let left = 0;
  loaded.forEach((image, index) => {
    paint.drawImage(image, left, 0, ...sizes[index]);
    left += sizes[index][0] + gap;
  });
  const { data } = paint.getImageData(0, 0, width, height);
  const counts = new Uint32Array(1 << 18);
  const exact = new Uint32Array(1 << 18);
  const binOf = (at) => ((data[at] >> 2) << 12) | ((data[at + 1] >> 2) << 6) | (data[at + 2] >> 2);
  for (let at = 0; at < data.length; at += 4) {
    const bin = binOf(at);
    counts[bin] += 1;
    // Flat colours stay as they are: the first of a shade is nearly always the only one.
    if (counts[bin] === 1) exact[bin] = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  }
  const used = [...counts.keys()].filter((bin) => counts[bin] > 0);
  const channels = (bin) => [exact[bin] >> 16, (exact[bin] >> 8) & 255, exact[bin] & 255];
  const isGrey = (bin) => Math.max(...channels(bin)) - Math.min(...channels(bin)) < 16;
  const most = used.toSorted((a, b) => counts[b] - counts[a]);
  const palette = [
    ...most.filter(isGrey).slice(0, colours.grey),
    ...most.filter((bin) => !isGrey(bin)).slice(0, colours.other),
  ].map(channels);
  const nearest = new Uint8Array(1 << 18);
  for (const bin of used) {
    const [r, g, b] = channels(bin);
    let best = Infinity;
    palette.forEach(([red, green, blue], index) => {
      const far = (red - r) ** 2 * 2 + (green - g) ** 2 * 4 + (blue - b) ** 2 * 3;
      if (far < best) [best, nearest[bin]] = [far, index];
    });
  }
  const pixels = new Uint8Array(width * height);
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = nearest[binOf(at * 4)];
  return { width, height, palette: palette.flat(), pixels: pixels.toBase64?.() ?? base64(pixels) };

  function base64(bytes) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 0x8000)
      text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    return btoa(text);
  }
}

function png(width, height, palette, pixels) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  // Eight bits of palette a pixel.
  head.set([8, 3, 0, 0, 0], 8);
  const rows = Buffer.alloc((width + 1) * height);
  for (let row = 0; row < height; row += 1)
    pixels.copy(rows, row * (width + 1) + 1, row * width, (row + 1) * width);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('PLTE', Buffer.from(palette)),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(name, data) {
  const named = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}

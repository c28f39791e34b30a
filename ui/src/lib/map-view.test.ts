import { describe, expect, it } from 'vitest';
import { fit, reveal, within, zoomAt } from './map-view';

const window = { width: 800, height: 400 };

describe('fit', () => {
  it('shows all of a large sheet and does not magnify a small one', () => {
    expect(fit({ width: 1552, height: 400 }, window)).toEqual({ x: 12, y: 100, scale: 0.5 });
    expect(fit({ width: 100, height: 100 }, window)).toEqual({ x: 350, y: 150, scale: 1 });
  });
});

describe('zoomAt', () => {
  it('keeps the point where it is', () => {
    const view = zoomAt({ x: 10, y: 20, scale: 1 }, 2, 110, 120);
    expect(view).toEqual({ x: -90, y: -80, scale: 2 });
  });
  it('ends at its bounds', () => {
    expect(zoomAt({ x: 0, y: 0, scale: 1 }, 100, 0, 0).scale).toBe(2);
    expect(zoomAt({ x: 0, y: 0, scale: 1 }, 0.001, 0, 0).scale).toBe(0.08);
  });
});

describe('within', () => {
  it('never loses the sheet', () => {
    const sheet = { width: 500, height: 300 };
    expect(within({ x: 5000, y: -5000, scale: 1 }, sheet, window)).toEqual({
      x: 740,
      y: -240,
      scale: 1,
    });
  });
});

describe('reveal', () => {
  const box = { x: 900, y: 10, width: 100, height: 40 };
  it('moves only as far as it must', () => {
    expect(reveal({ x: 0, y: 0, scale: 1 }, box, window)).toEqual({ x: -224, y: 14, scale: 1 });
    const seen = { x: -300, y: 50, scale: 1 };
    expect(reveal(seen, box, window)).toEqual(seen);
  });
});

// Pan and zoom of the service map: which part of the sheet is seen, and how large.

export interface View {
  /** Where the sheet's corner lies in the window, in pixels. */
  x: number;
  y: number;
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

export const SCALE_MIN = 0.08;
export const SCALE_MAX = 2;
/** A piece of the sheet always stays in the window. */
const KEPT = 60;

/** The whole sheet in the middle of the window, never magnified. */
export function fit(sheet: Size, window: Size, padding = 12): View {
  if (sheet.width <= 0 || sheet.height <= 0) return { x: 0, y: 0, scale: 1 };
  const room = Math.min(
    (window.width - 2 * padding) / sheet.width,
    (window.height - 2 * padding) / sheet.height,
  );
  const scale = Math.min(1, Math.max(SCALE_MIN, room));
  return {
    x: (window.width - sheet.width * scale) / 2,
    y: (window.height - sheet.height * scale) / 2,
    scale,
  };
}

/** Larger or smaller; what is at the point (of the window) stays there. */
export function zoomAt(view: View, factor: number, x: number, y: number): View {
  const scale = Math.min(SCALE_MAX, Math.max(SCALE_MIN, view.scale * factor));
  const ratio = scale / view.scale;
  return { x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio, scale };
}

/** Moved, with a piece of the sheet still to be seen. */
export function within(view: View, sheet: Size, window: Size): View {
  const clamp = (at: number, size: number, room: number) =>
    Math.min(room - KEPT, Math.max(KEPT - size * view.scale, at));
  return {
    x: clamp(view.x, sheet.width, window.width),
    y: clamp(view.y, sheet.height, window.height),
    scale: view.scale,
  };
}

/** Moved just so far that a box can be seen whole, with some room around it. */
export function reveal(
  view: View,
  box: { x: number; y: number } & Size,
  window: Size,
  room = 24,
): View {
  const moved = (at: number, size: number, seen: number) => {
    if (at < room) return room - at;
    if (at + size > seen - room) return Math.min(seen - room - at - size, 0);
    return 0;
  };
  const left = view.x + box.x * view.scale;
  const top = view.y + box.y * view.scale;
  return {
    x: view.x + moved(left, box.width * view.scale, window.width),
    y: view.y + moved(top, box.height * view.scale, window.height),
    scale: view.scale,
  };
}

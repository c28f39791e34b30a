// Draws the bars of a waterfall. It is told what stands where and decides nothing.

import type { Trace } from '../../api/schema';
import {
  between,
  tickText,
  ticks as ticksOf,
  type Waterfall,
  type Window,
} from '../../lib/waterfall';

export type Ink = 'ink' | 'ink-2' | 'ink-3' | 's6' | 'bad' | 'risk' | 'grid' | 'surface' | 'accent';
export type Inks = Record<Ink, string>;

export const ROW_PX = 26;
const BAR_PX = 10;
const TICK_PX_MIN = 90;
/** Room of a tick's text right of it. */
const LABEL_PX = 44;

export interface Scene {
  trace: Trace;
  waterfall: Waterfall;
  /** Rows shown, and the first of them in sight. */
  visible: Uint32Array;
  first: number;
  /** Pixels by which the first one is scrolled out. */
  shifted: number;
  window: Window;
  /** Nanoseconds since the start of log records, by span. */
  logs: Map<number, number[]>;
  critical: boolean;
  cursor: number | undefined;
}

export function paintRows(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  scene: Scene,
  inks: Inks,
): void {
  const paint = sized(canvas, width, height);
  if (paint === undefined) return;
  const { window, waterfall, visible } = scene;
  const scale = width / (window.to - window.from);
  const x = (time: number) => (time - window.from) * scale;
  paint.fillStyle = inks.grid;
  for (const at of ticksOf(window, width / TICK_PX_MIN).at)
    paint.fillRect(Math.round(x(at)), 0, 1, height);
  const rows = Math.ceil((height + scene.shifted) / ROW_PX);
  for (let place = 0; place < rows; place += 1) {
    const row = visible[scene.first + place];
    if (row === undefined) break;
    const span = waterfall.spans[row]!;
    const top = place * ROW_PX - scene.shifted + (ROW_PX - BAR_PX) / 2;
    paintSpan(paint, scene, span, top, x, width, inks);
  }
  if (scene.cursor !== undefined) {
    paint.fillStyle = inks['ink-3'];
    paint.fillRect(Math.round(x(scene.cursor)), 0, 1, height);
  }
}

function sized(canvas: HTMLCanvasElement, width: number, height: number) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== tall) {
    canvas.width = wide;
    canvas.height = tall;
  }
  const paint = canvas.getContext('2d') ?? undefined;
  paint?.setTransform(ratio, 0, 0, ratio, 0, 0);
  paint?.clearRect(0, 0, width, height);
  return paint;
}

function paintSpan(
  paint: CanvasRenderingContext2D,
  { trace, waterfall, logs, critical }: Scene,
  span: number,
  top: number,
  x: (time: number) => number,
  width: number,
  inks: Inks,
): void {
  const [start, end] = [waterfall.start[span]!, waterfall.end[span]!];
  const { left, right } = within(x(start), x(end), width);
  const failed = trace.spans[span]!.status === 'error';
  if (left < right) {
    paint.fillStyle = failed ? inks.bad : inks.s6;
    paint.globalAlpha = critical && !failed ? 0.55 : 0.9;
    paint.beginPath();
    paint.roundRect(left, top, Math.max(1.5, right - left), BAR_PX, 2);
    paint.fill();
    paint.globalAlpha = 1;
    gap(paint, trace, waterfall, span, top, x, inks);
  } else {
    beyond(paint, x(end) < 0 ? 2 : width - 6, top, x(end) < 0, inks);
  }
  if (critical) {
    paint.fillStyle = inks.ink;
    for (const [from, to] of waterfall.critical.get(span) ?? []) {
      const part = within(x(from), x(to), width);
      if (part.left < part.right)
        paint.fillRect(part.left, top + BAR_PX - 2, Math.max(1, part.right - part.left), 4);
    }
  }
  paint.fillStyle = inks.ink;
  for (const event of trace.spans[span]!.events ?? []) {
    diamond(paint, x(eventAt(trace, waterfall, span, event.time)), top + BAR_PX / 2, 3.5);
  }
  paint.strokeStyle = inks.accent;
  for (const at of logs.get(span) ?? []) {
    paint.beginPath();
    paint.arc(x(at), top - 3, 2, 0, Math.PI * 2);
    paint.stroke();
  }
}

function eventAt(trace: Trace, waterfall: Waterfall, span: number, time: string): number {
  const at = waterfall.start[span]! + between(trace.spans[span]!.start, time);
  return Math.min(waterfall.end[span]!, Math.max(0, at));
}

/** The part in sight; left ≥ right where there is none. */
function within(left: number, right: number, width: number) {
  if (right < 0 || left > width) return { left: 0, right: 0 };
  const from = Math.max(-4, left);
  return { left: from, right: Math.max(Math.min(width + 4, right), from + 1) };
}

/** The span lies outside of the window, on this side. */
function beyond(
  paint: CanvasRenderingContext2D,
  x: number,
  top: number,
  left: boolean,
  inks: Inks,
) {
  paint.fillStyle = inks['ink-3'];
  paint.beginPath();
  paint.moveTo(left ? x + 4 : x, top + 1);
  paint.lineTo(left ? x : x + 4, top + BAR_PX / 2);
  paint.lineTo(left ? x + 4 : x, top + BAR_PX - 1);
  paint.fill();
}

/** Of a call: where its callee did not run yet, or no more. */
function gap(
  paint: CanvasRenderingContext2D,
  trace: Trace,
  waterfall: Waterfall,
  span: number,
  top: number,
  x: (time: number) => number,
  inks: Inks,
): void {
  const node = trace.tree.nodes[span]!;
  if (node.edge_gap_nanos == null || node.edge_gap_nanos <= 0) return;
  const served = node.children.filter((child) => trace.spans[child]!.kind === 'server');
  if (served.length === 0) return;
  const [start, end] = [waterfall.start[span]!, waterfall.end[span]!];
  const first = Math.min(...served.map((child) => waterfall.start[child]!));
  const last = Math.max(...served.map((child) => waterfall.end[child]!));
  paint.fillStyle = inks.surface;
  paint.strokeStyle = trace.spans[span]!.status === 'error' ? inks.bad : inks['ink-3'];
  paint.lineWidth = 1;
  paint.setLineDash([2, 2]);
  for (const [from, to] of [
    [start, Math.min(first, end)],
    [Math.max(last, start), end],
  ] as const) {
    const wide = x(to) - x(from);
    if (wide < 3) continue;
    paint.fillRect(x(from), top, wide, BAR_PX);
    paint.strokeRect(x(from) + 0.5, top + 0.5, wide - 1, BAR_PX - 1);
  }
  paint.setLineDash([]);
}

function diamond(paint: CanvasRenderingContext2D, x: number, y: number, size: number): void {
  paint.beginPath();
  paint.moveTo(x, y - size);
  paint.lineTo(x + size, y);
  paint.lineTo(x, y + size);
  paint.lineTo(x - size, y);
  paint.fill();
}

/** The whole trace in small: every span a line, failed ones on top. */
export function paintOverview(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  trace: Trace,
  waterfall: Waterfall,
  inks: Inks,
): void {
  const paint = sized(canvas, width, height);
  if (paint === undefined) return;
  const scale = width / Math.max(1, waterfall.duration);
  const rows = waterfall.spans.length;
  const tall = Math.max(1, Math.min(4, height / rows - 0.5));
  for (const failed of [false, true]) {
    paint.fillStyle = failed ? inks.bad : inks.s6;
    paint.globalAlpha = failed || rows < height ? 1 : 0.35;
    for (let row = 0; row < rows; row += 1) {
      const span = waterfall.spans[row]!;
      if ((trace.spans[span]!.status === 'error') !== failed) continue;
      const left = waterfall.start[span]! * scale;
      const wide = Math.max(1, (waterfall.end[span]! - waterfall.start[span]!) * scale);
      paint.fillRect(left, (row / rows) * (height - tall), wide, tall);
    }
  }
  paint.globalAlpha = 1;
}

export interface Tick {
  left: number;
  text: string;
}

export function ruler(window: Window, width: number): Tick[] {
  const { at, step } = ticksOf(window, width / TICK_PX_MIN);
  const ticks = at.map((tick) => ({
    left: ((tick - window.from) / (window.to - window.from)) * width,
    text: tickText(tick, step),
  }));
  return ticks.filter((tick) => tick.left < width - LABEL_PX);
}

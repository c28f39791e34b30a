// Log lines of one shape, told together: what differs from line to line (numbers, ids, quoted
// values) is left out, and what there was before is compared with what there is now.

export interface Line {
  service: string;
  severity: string;
  text: string;
}

export interface Shape {
  service: string;
  severity: string;
  /** With `‹*›` for what differs. */
  shape: string;
  /** One of the lines as it is. */
  example: string;
  before_per_s: number;
  during_per_s: number;
  change: 'new' | 'surging' | 'fading' | 'as_before';
}

const HOLE = '‹*›';
const CHARS_MAX = 160;
const PARTS: RegExp[] = [
  /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi,
  /\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b/gi,
  /"[^"]*"|'[^']*'/g,
  /(?<![A-Za-z_])[-+]?\d[\d.,:]*(?:(?<=\d)(?:ms|µs|us|ns|s|m|h|kB|MB|GB|%))?(?![A-Za-z_])/g,
];

export function shapeOf(text: string): string {
  const line = text.split('\n', 1)[0]!;
  const shape = PARTS.reduce((rest, part) => rest.replace(part, HOLE), line);
  const cut = shape.length > CHARS_MAX ? `${shape.slice(0, CHARS_MAX)}…` : shape;
  return cut.replace(/\s+/g, ' ').trim();
}

/** A phrase that finds the lines of a shape in our log query language; empty where there is none. */
export function phraseOf(shape: string): string {
  const parts = shape
    .split(/‹\*›|…/)
    .map((part) => part.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, ''));
  const longest = parts.reduce((best, part) => (part.length > best.length ? part : best), '');
  return longest.includes('"') ? '' : longest;
}

interface Counted {
  line: Line;
  shape: string;
  before: number;
  during: number;
}

/** Lines of so many seconds, and those of the time before. New and surging shapes come first. */
export function changed(
  during: { lines: Line[]; seconds: number },
  before: { lines: Line[]; seconds: number },
): Shape[] {
  const counted = new Map<string, Counted>();
  const count = (lines: Line[], when: 'before' | 'during') => {
    for (const line of lines) {
      const shape = shapeOf(line.text);
      const key = `${line.service}\n${line.severity}\n${shape}`;
      const known = counted.get(key) ?? { line, shape, before: 0, during: 0 };
      known[when] += 1;
      if (when === 'during') known.line = line;
      counted.set(key, known);
    }
  };
  count(before.lines, 'before');
  count(during.lines, 'during');
  const shapes = [...counted.values()].map(({ line, shape, ...counts }): Shape => {
    const before_per_s = counts.before / Math.max(1, before.seconds);
    const during_per_s = counts.during / Math.max(1, during.seconds);
    return {
      service: line.service,
      severity: line.severity,
      shape,
      example: line.text,
      before_per_s,
      during_per_s,
      change: changeOf(counts, before_per_s, during_per_s),
    };
  });
  const order = ['new', 'surging', 'fading', 'as_before'];
  return shapes.sort(
    (a, b) => order.indexOf(a.change) - order.indexOf(b.change) || b.during_per_s - a.during_per_s,
  );
}

const TIMES_MORE = 3;

function changeOf(
  counts: { before: number; during: number },
  before: number,
  during: number,
): Shape['change'] {
  if (counts.before === 0) return 'new';
  if (counts.during >= 5 && during > before * TIMES_MORE) return 'surging';
  if (counts.before >= 5 && during * TIMES_MORE < before) return 'fading';
  return 'as_before';
}

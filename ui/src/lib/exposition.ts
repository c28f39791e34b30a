// Prometheus' text format, as `/metrics` answers.

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface Exposition {
  samples: Sample[];
  /** What each name means. */
  help: Map<string, string>;
}

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES: Record<string, string> = { n: '\n' };

/** Lines that make no sense are left out. */
export function exposition(text: string): Exposition {
  const samples: Sample[] = [];
  const help = new Map<string, string>();
  for (const line of text.split('\n')) {
    const told = /^# HELP (\S+) (.*)$/.exec(line);
    if (told) help.set(told[1]!, told[2]!);
    const found = line.startsWith('#') ? null : LINE.exec(line.trim());
    if (!found) continue;
    const labels = Object.fromEntries(
      [...(found[2] ?? '').matchAll(LABEL)].map(([, name, value]) => [
        name!,
        value!.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter),
      ]),
    );
    samples.push({ name: found[1]!, labels, value: number(found[3]!) });
  }
  return { samples, help };
}

function number(text: string): number {
  if (text === '+Inf') return Infinity;
  return text === '-Inf' ? -Infinity : Number(text);
}

/** The one sample of a name; undefined where there is none. */
export function valueOf({ samples }: Exposition, name: string): number | undefined {
  return samples.find((sample) => sample.name === name)?.value;
}

/** All of a name added up. */
export function sumOf({ samples }: Exposition, name: string): number {
  return samples.reduce((sum, one) => (one.name === name ? sum + one.value : sum), 0);
}

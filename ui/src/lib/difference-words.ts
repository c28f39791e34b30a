// What differs, in words: the sentence of the Compare page, and how figures of both sides are
// written.

import type { Finding, Subject } from './difference';
import { count, number, percent, plural, rate, THIN, took } from './format';

/** Of the sides: `A` and `B`, or two versions. */
export type Names = [string, string];

const HEADLINE_MAX = 90;

/** Those that are told one by one. */
export function isDifferent({ verdict }: Finding): boolean {
  return verdict !== 'same' && verdict !== 'few' && verdict !== 'alike';
}

/** `checkout`, `checkout POST /pay`, `checkout's calls of payment`. */
export function subjectName({ kind, service: owner, environment, name }: Subject): string {
  const service = environment ? `${owner} (${environment})` : owner;
  switch (kind) {
    case 'service':
      return service;
    case 'instance':
      return name.startsWith(service) ? name : `${service}/${name}`;
    case 'call':
      return `${service} → ${name}`;
    case 'caller':
      return `${name} → ${service}`;
    case 'lines':
      return `${service || 'all services'}, ${name} lines`;
    default:
      return `${service} ${name}`;
  }
}

/** One figure of one side; `none` of what is not there. */
export function valueText(finding: Finding, value: number | null): string {
  const { aspect, subject, relative } = finding;
  if (aspect === 'fails') return percent(value);
  if (aspect !== 'traffic') return took(value);
  if (value === 0) return 'none';
  if (subject.kind === 'lines')
    return relative ? `${number(value)} a request` : `${number((value ?? 0) * 60)} a minute`;
  if (!relative) return rate(value);
  return subject.kind === 'call' ? `${number(value)} a request` : percent(value);
}

/** What the figure is of. */
export function aspectText({ aspect, subject, relative }: Finding): string {
  if (aspect === 'fails') return 'fails';
  if (aspect !== 'traffic') return aspect;
  if (subject.kind === 'lines') return 'written';
  if (subject.kind === 'call') return 'calls';
  return relative ? 'share of requests' : 'requests';
}

/** `×3.4`, `−28 %`, `+8.2 points` of failing, `new`, `gone`. */
export function changeText({ aspect, verdict, a, b }: Finding): string {
  if (verdict === 'new' || verdict === 'gone') return verdict;
  if (verdict === 'few') return 'too few';
  const [from, to] = [a ?? 0, b ?? 0];
  const sign = to < from ? '−' : '+';
  if (aspect === 'fails') return `${sign}${number(Math.abs(to - from) * 100)} points`;
  if (from > 0 && to >= 2 * from) return `×${number(Number((to / from).toPrecision(2)))}`;
  if (from <= 0) return '';
  return `${sign}${Math.round(Math.abs(to / from - 1) * 100)}${THIN}%`;
}

function clause(finding: Finding, [nameA, nameB]: Names): string {
  const { subject, aspect, verdict, relative, a, b } = finding;
  const [before, after] = [valueText(finding, a), valueText(finding, b)];
  const name = subjectName(subject);
  const both = (words: string) => `${words} ${after} in ${nameB}, ${before} in ${nameA}`;
  const is = subject.kind === 'lines' ? 'are' : 'is';
  if (verdict === 'new') return `${name} ${is} new in ${nameB}: ${after}`;
  if (verdict === 'gone') return `${name} ${is} gone in ${nameB}; ${before} in ${nameA}`;
  if (aspect === 'fails') return both(`${name} fails`);
  if (aspect !== 'traffic')
    return `${name} takes ${after} at ${aspect} in ${nameB}, ${before} in ${nameA}`;
  if (subject.kind === 'lines') return both(`${name}:`);
  if (subject.kind === 'call') return both(`${name}:`);
  return both(relative ? `${name} has of requests` : `${name} is asked`);
}

export interface Answer {
  headline: string;
  /** Where the sentence has no room for it. */
  more: string;
}

/** The largest difference, and how many more; else why there is none. `about`: of what. */
export function answer(findings: Finding[], about: string, names: Names): Answer {
  const [nameA, nameB] = names;
  const different = findings.filter(isDifferent);
  const judged = findings.filter(({ verdict }) => verdict !== 'few');
  const first = different[0];
  if (!first) {
    const what = about === '' ? 'Nothing' : `Nothing of ${about}`;
    const headline =
      judged.length > 0
        ? `${what} differs between ${nameA} and ${nameB}: ${plural(judged.length, 'figure')} alike`
        : `Too few requests${about === '' ? '' : ` of ${about}`} to tell ${nameA} from ${nameB}`;
    return { headline, more: '' };
  }
  const largest = clause(first, names);
  const rest = different.length - 1;
  const others = rest === 0 ? 'nothing else differs' : `${plural(rest, 'other difference')}`;
  const headline = `${largest}; ${others}`;
  if (headline.length <= HEADLINE_MAX) return { headline, more: '' };
  return { headline: largest, more: rest === 0 ? '' : `${count(rest)} more.` };
}

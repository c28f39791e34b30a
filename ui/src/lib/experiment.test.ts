import { describe, expect, it } from 'vitest';
import type { DrillRecord, Suggestion } from '../api/schema';
import { beginning } from './experiment';

const file =
  'title: "kill_process on cart"\ntarget: "cart"\nfault: kill_process\nexpect: {decision: heal, cause: {kind: crash, entity: "cart"}}\n';
const suggestions: Suggestion[] = [
  { target: 'cart', fault: 'kill_process', weight: 1, reasons: [], experiment: file },
];

describe('what a drill begins with', () => {
  it('is what was suggested', () => {
    expect(beginning('kill_process@cart', suggestions, [])).toBe(file);
  });
  it('is a suggestion for the same target with another fault, and no claim what is right', () => {
    const text = beginning('cpu@cart', suggestions, []);
    expect(text).toContain('fault: {cpu: {cores: 1}}');
    expect(text).toContain('title: "cpu on cart"');
    expect(text).toContain('expect: {decision: escalate}\n');
  });
  it('is a file to fill in where nothing is known', () => {
    const text = beginning('pause_process@odd "name"', [], []);
    expect(text).toContain('target: "odd \\"name\\""');
    expect(text).toContain('fault: pause_process');
  });
  it('is the experiment of a drill that is run again, and nothing of one that is not known', () => {
    const drill = { id: 4, drill: { experiment: { title: 'x', fault: null } } };
    const known = [drill as unknown as DrillRecord];
    expect(JSON.parse(beginning('drill-4', [], known))).toEqual({ title: 'x' });
    expect(beginning('drill-5', [], known)).toBe('');
    expect(beginning('file', suggestions, [])).toBe('');
  });
});

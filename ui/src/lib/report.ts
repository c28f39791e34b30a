// An incident as Markdown, to be pasted into a chat or a post-mortem.

import { count, duration, percent } from './format';
import { causeName, entityName } from './naming';
import { headline, hurtUntil } from './incident';
import { act, attemptWords, stateName, verdictsOf } from './plan';
import { clock, millis } from './time';
import type { Incident, PlanOutlook as Plan } from '../api/schema';

export function markdown(incident: Incident, plans: Plan[], link: string, now: number): string {
  const lines: string[] = [];
  const hurt = duration((hurtUntil(incident, now) - millis(incident.onset)) / 1000);
  const { bad_requests, requests } = incident.impact;
  lines.push(`# Incident ${incident.id}: ${headline(incident)}`, '');
  lines.push(
    `${incident.state}, users hurt for ${hurt} since ${incident.onset.slice(0, 19)}Z. ${link}`,
  );
  if (requests > 0)
    lines.push('', `${count(bad_requests)} of ${count(requests)} requests went wrong.`);

  lines.push('', '## Symptoms', '');
  for (const symptom of incident.symptoms)
    lines.push(`- ${clock(symptom.onset)} ${symptom.summary || entityName(symptom.entity)}`);

  lines.push('', '## Causes, likeliest first', '');
  incident.causes.forEach((cause, index) => {
    const what = `${entityName(cause.entity)}, ${causeName(cause.kind)}, ${percent(cause.confidence)} sure`;
    lines.push(`${index + 1}. **${what}**: ${cause.summary}`);
    for (const evidence of cause.evidence) {
      const trace = evidence.trace_id ? ` (trace \`${evidence.trace_id}\`)` : '';
      lines.push(`   - ${evidence.supports ? 'for' : 'against'}: ${evidence.summary}${trace}`);
    }
  });

  if (plans.length > 0) lines.push('', '## Plans', '');
  for (const plan of plans) {
    lines.push(
      `- plan ${plan.id}: ${act(plan.kind, plan.target).do}, ${stateName(plan.state)}: ${plan.reason}`,
    );
    for (const { guardrail, reason } of verdictsOf(plan).denied)
      lines.push(`  - ${guardrail} denies: ${reason}`);
    for (const attempt of plan.attempts) lines.push(`  - ${attemptWords(attempt)}`);
  }

  lines.push('', '## Timeline (UTC)', '');
  for (const { at, text } of incident.timeline) lines.push(`- ${clock(at)} ${text}`);
  return `${lines.join('\n')}\n`;
}

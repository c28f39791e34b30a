// The lanes that show the figures behind an incident: what users feel first, then what is blamed,
// the calls that carry it, and last what was looked at and did not change.

import { took } from './format';
import { beforeAndNow, flowBetween, flowOf, flowTo } from './flows';
import { namedCause, worstSymptom } from './incident';
import {
  besideSiblings,
  durationLane,
  errorLinesLane,
  failingLane,
  memoryLane,
  successLane,
  trafficLane,
  type LaneFacts,
} from './evidencelanes';
import { entityName, ownerOf } from './naming';
import { aligned, known, roundUp, sumOf } from './points';
import type { Lane } from '../components/lanes';
import type { Entity } from '../api/schema';

const WAY_LANES = 2;
const RULED_OUT = 3;

export function lanes(facts: LaneFacts): Lane[] {
  const { incident, figures } = facts;
  const symptom = worstSymptom(incident);
  if (!symptom) return [];
  const felt = flowTo(figures, symptom.entity);
  const own = ownerOf(symptom.entity);
  const objective = facts.objectives.find(
    (o) => o.source === symptom.source && entityName(o.entity) === entityName(symptom.entity),
  );
  const isSlow = symptom.kind === 'latency_burn';
  const name = entityName(symptom.entity);
  const limit = isSlow
    ? (objective?.threshold_seconds ?? (symptom.unit === 'seconds' ? symptom.threshold : undefined))
    : (objective?.objective ?? (symptom.unit === 'ratio' ? 1 - symptom.threshold : undefined));
  const slow = durationLane(
    facts,
    `Duration at ${name}`,
    felt,
    own.name,
    isSlow ? limit : undefined,
  );
  const succeeding = successLane(facts, name, felt, own.name, isSlow ? undefined : limit);
  const found: (Lane | undefined)[] = [
    ...(isSlow ? [slow] : [succeeding]),
    ...causeLanes(facts),
    ...facts.way.slice(0, WAY_LANES).map((call) => callLane(facts, call, isSlow)),
    errorLinesLane(facts),
    trafficLane(facts, name, felt, own.name),
    isSlow ? succeeding : slow,
    ...ruledOut(facts),
  ];
  const seen = new Set<string>();
  return found.filter((lane): lane is Lane => {
    if (!lane || seen.has(lane.id)) return false;
    seen.add(lane.id);
    return lane.lines.some((line) => known(line.values).length > 0);
  });
}

/** What tells of the cause itself, by its kind. */
function causeLanes(facts: LaneFacts): Lane[] {
  const { incident, figures, axis } = facts;
  const cause = namedCause(incident);
  if (!cause) return [];
  const { entity, kind } = cause;
  const name = entityName(entity);
  const found: Lane[] = [];
  if (kind === 'leak') found.push(memoryLane(facts, entity));
  const flow = flowTo(figures, entity);
  if (entity.kind === 'instance') {
    const siblings = flowOf(
      figures,
      (l) => l.of === 'instance' && l.service === entity.part_of && l.instance !== entity.name,
    );
    const both = [
      { name, flow, tone: 's2' as const },
      { name: 'its siblings', flow: siblings, tone: 's1' as const },
    ].filter((line) => line.flow.requests.size > 0);
    if (both.length > 0)
      found.push(
        failingLane(
          facts,
          `by instance ${name}`,
          `Requests to ${entity.part_of} that fail`,
          'by instance',
          both,
          entity.part_of,
        ),
        besideSiblings(axis, name, flow, siblings, facts.traces(entity.part_of, false)),
      );
  } else if (flow.requests.size > 0) {
    const owner = ownerOf(entity).name;
    found.push(
      failingLane(
        facts,
        `failing ${name}`,
        `Requests to ${name} that fail`,
        entity.kind === 'service' ? '' : 'as its callers see it',
        [{ name, flow, tone: 's2' }],
        owner,
      ),
    );
    if (['network', 'lock', 'leak', 'change', 'surge'].includes(kind))
      found.push(durationLane(facts, `Duration at ${name}`, flow, owner));
  }
  return found;
}

function callLane(
  facts: LaneFacts,
  { caller, callee }: { caller: Entity; callee: Entity },
  slow: boolean,
): Lane {
  const flow = flowBetween(facts.figures, caller, callee);
  const title = `Calls ${caller.name} → ${callee.name}`;
  const { now = 0 } = beforeAndNow(flow.failing, facts.axis);
  if (slow && now < 0.01) return durationLane(facts, title, flow, caller.name);
  const tone = 's2' as const;
  return failingLane(
    facts,
    `call ${title}`,
    title,
    'that fail',
    [{ name: title, flow, tone }],
    caller.name,
  );
}

/** Calls beside the way that are as fast and as well as before: they are not to blame. */
function ruledOut(facts: LaneFacts): Lane[] {
  const { axis, figures } = facts;
  const found: Lane[] = [];
  for (const { caller, callee } of facts.beside) {
    const flow = flowBetween(figures, caller, callee);
    const p95 = beforeAndNow(flow.p95, axis);
    const failing = beforeAndNow(flow.failing, axis);
    if (p95.now === undefined || p95.was === undefined || failing.now === undefined) continue;
    const enough = sumOf(flow.requests, axis.onset, axis.until) >= 20;
    const same = Math.abs(p95.now / p95.was - 1) < 0.25 || Math.abs(p95.now - p95.was) < 0.005;
    if (!enough || !same || failing.now > (failing.was ?? 0) + 0.01) continue;
    found.push({
      id: `out ${caller.name} ${callee.name}`,
      title: `Ruled out: ${entityName(callee)}`,
      about: '',
      lines: [{ name: 'p95', values: aligned(flow.p95, axis.times), tone: 's6' }],
      low: 0,
      high: roundUp(Math.max(...flow.p95.values())) * 1.5,
      format: took,
      now: '',
      was: `p95 ${took(p95.now)}, unchanged`,
      ruledOut: true,
      link: facts.traces(caller.name, false),
    });
  }
  return found.slice(0, RULED_OUT);
}

// What is new between two looks, in words for those who listen instead of looking.

interface Incident {
  id: number;
  state: string;
  title: string;
}
interface Plan {
  id: number;
  state: string;
  target: string;
}
interface Drill {
  id: number;
  drill: { phase: string; experiment: { title: string } };
  scorecard?: { passed: boolean } | null;
}

export interface Known {
  incidents: Incident[];
  plans: Plan[];
  drills: Drill[];
}

export function news(before: Known, now: Known): string[] {
  const told: string[] = [];
  for (const incident of now.incidents) {
    const then = before.incidents.find((one) => one.id === incident.id);
    if (incident === then) continue;
    if (!then && incident.state !== 'resolved') {
      told.push(`Incident ${incident.id} is open: ${incident.title}`);
    } else if (then && then.state !== incident.state) {
      told.push(`Incident ${incident.id} is ${incident.state}`);
    }
  }
  for (const plan of now.plans) {
    const then = before.plans.find((one) => one.id === plan.id);
    if (plan.state === 'awaiting_approval' && then?.state !== plan.state) {
      told.push(`Plan ${plan.id} for ${plan.target} waits for approval`);
    }
  }
  for (const record of now.drills) {
    const then = before.drills.find((one) => one.id === record.id);
    if (record === then) continue;
    if (!then) told.push(`Drill ${record.id} has begun: ${record.drill.experiment.title}`);
    else if (!then.scorecard && record.scorecard) {
      told.push(`Drill ${record.id} ${record.scorecard.passed ? 'passed' : 'did not pass'}`);
    }
  }
  return told;
}

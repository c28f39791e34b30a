// What the whole map comes to, in one sentence.

import { count, listed, plural } from '../../lib/format';
import { USERS, type Graph } from '../../lib/map';

export function sentence({ nodes, edges }: Graph): string {
  const real = nodes.filter((node) => node.id !== USERS);
  if (real.length === 0) return 'Nothing is known yet of who calls whom';
  const calls = edges.filter((edge) => edge.from !== USERS).length;
  const whole = `${plural(real.length, 'service and dependency', 'services and dependencies')}, ${plural(calls, 'call')} between them`;
  const hurt = real.filter((node) => node.state === 'hurt').map((node) => node.name);
  if (hurt.length > 0) return `${listed(hurt)} ${hurt.length === 1 ? 'is' : 'are'} hurt; ${whole}`;
  const silent = real.filter((node) => node.state === 'no_data').length;
  if (silent > 0) return `${whole}; ${count(silent)} ${silent === 1 ? 'sends' : 'send'} nothing`;
  const risky = real.filter((node) => node.state === 'at_risk').map((node) => node.name);
  if (risky.length > 0)
    return `${listed(risky)} ${risky.length === 1 ? 'is' : 'are'} at risk; ${whole}`;
  return `${whole}; none is hurt`;
}

import { describe, expect, it } from 'vitest';
import type { Graph, MapNode } from '../../lib/map';
import { sentence } from './sentence';

const node = (id: string, state: MapNode['state'] = 'well') => ({ id, name: id, state }) as MapNode;
const graph = (...nodes: MapNode[]): Graph => ({
  nodes,
  edges: [
    { from: 'users', to: 'web', rate: 1, errors: 0 },
    { from: 'web', to: 'cart', rate: 1, errors: 0 },
  ],
});

describe('sentence', () => {
  it('names who is hurt first', () => {
    expect(sentence(graph(node('users', 'hurt'), node('web', 'hurt'), node('cart')))).toBe(
      'web is hurt; 2 services and dependencies, 1 call between them',
    );
  });
  it('does not pass over silence', () => {
    expect(sentence(graph(node('web'), node('cart', 'no_data')))).toMatch(/; 1 sends nothing$/);
  });
  it('says so where all is well, and where nothing is known', () => {
    expect(sentence(graph(node('web'), node('cart')))).toMatch(/; none is hurt$/);
    expect(sentence({ nodes: [], edges: [] })).toBe('Nothing is known yet of who calls whom');
  });
});

import { describe, expect, it } from 'vitest';
import { mayNot } from './role';

describe('mayNot', () => {
  it('lets a role do what it and the lesser ones may', () => {
    expect(mayNot({ name: 'ops', role: 'admin' }, 'approve')).toBeUndefined();
    expect(mayNot({ name: 'ann', role: 'approve' }, 'approve')).toBeUndefined();
  });
  it('says who may', () => {
    expect(mayNot({ name: 'wall', role: 'read' }, 'approve')).toBe(
      'wall has the role read; this takes approve or admin',
    );
    expect(mayNot({ name: 'ann', role: 'approve' }, 'admin')).toContain('takes admin');
  });
  it('leaves it to the server while nobody knows who asks', () => {
    expect(mayNot(undefined, 'admin')).toBeUndefined();
  });
});

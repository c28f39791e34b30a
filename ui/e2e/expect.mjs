// What a test expects, with the name of what it looked at in the complaint.

export function expect(value, name) {
  const check = (good, wanted) => {
    if (!good) throw new Error(`${name}: expected ${wanted}, found ${JSON.stringify(value)}`);
  };
  return {
    toBe: (wanted) => check(value === wanted, JSON.stringify(wanted)),
    toBeAbove: (limit) => check(value > limit, `more than ${limit}`),
    toBeBelow: (limit) => check(value < limit, `less than ${limit}`),
    toMatch: (pattern) => check(pattern.test(value), `${pattern}`),
    not: { toMatch: (pattern) => check(!pattern.test(value), `nothing like ${pattern}`) },
  };
}

// What of a list somebody means who typed a few letters.

/** How well `text` answers `typed`: 0 not at all, else the higher the better. */
export function closeness(typed: string, text: string): number {
  const wanted = typed.trim().toLowerCase();
  const given = text.toLowerCase();
  if (wanted === '') return 1;
  if (given === wanted) return 1_000;
  const at = given.indexOf(wanted);
  if (at === 0) return 800 - given.length / 100;
  if (at > 0) return (/[\s\-_/.:]/.test(given[at - 1]!) ? 600 : 400) - given.length / 100;
  // All words, in any order.
  const words = wanted.split(/\s+/);
  if (words.length > 1 && words.every((word) => given.includes(word))) {
    return 300 - given.length / 100;
  }
  return inOrder(wanted, given) ? 100 - given.length / 100 : 0;
}

/** Are the letters there in this order? Told only for short texts, where it means something. */
function inOrder(wanted: string, given: string): boolean {
  if (wanted.length < 2 || given.length > 40) return false;
  let from = 0;
  for (const letter of wanted) {
    const at = given.indexOf(letter, from);
    if (at < 0) return false;
    from = at + 1;
  }
  return true;
}

/** Those that answer, best first; equals keep their order. */
export function closest<T>(typed: string, list: T[], text: (one: T) => string, most: number): T[] {
  return list
    .map((one) => ({ one, score: closeness(typed, text(one)) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, most)
    .map(({ one }) => one);
}

/** Is it the id of a trace, 32 hexadecimal digits that are not all zero? */
export function isTraceId(typed: string): boolean {
  return /^[0-9a-f]{32}$/i.test(typed) && !/^0+$/.test(typed);
}

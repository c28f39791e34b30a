// Waiting for a state, never for a time.

const LOOK_EVERY_MS = 100;

/** What `look` answers once that is true; throws with the last reason when it takes too long. */
export async function until(what, look, withinMs = 30_000) {
  const end = Date.now() + withinMs;
  let reason = '';
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen;
    } catch (error) {
      reason = `: ${error.message}`;
    }
    if (Date.now() > end) throw new Error(`waited ${withinMs / 1_000} s for ${what}${reason}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

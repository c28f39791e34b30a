// An act that is under way: it cannot be asked for twice, and what went wrong is said.

import { ApiError } from '../api/client';

export class Act {
  busy = $state(false);
  problem = $state<string>();

  /** Does it unless it is under way; true when it went well. */
  async run(does: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = undefined;
    try {
      await does();
      return true;
    } catch (error) {
      this.problem = error instanceof ApiError ? error.message : String(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}

// The page's clock, corrected by the server's: ages are those of the machine that is watched.

class Clock {
  /** Milliseconds since 1970, to the second. */
  now = $state(Date.now());
  #ahead = 0;

  constructor() {
    setInterval(() => this.#tick(), 1_000);
  }

  #tick(): void {
    this.now = Date.now() + this.#ahead;
  }

  /** Takes over the server's time; small differences are the network's. */
  correct(server: number): void {
    const ahead = server - Date.now();
    if (Math.abs(ahead - this.#ahead) > 1_500) {
      this.#ahead = ahead;
      this.#tick();
    }
  }
}

export const clock = new Clock();

// The moment that is looked at. Charts that are given the same one move together.

export class Cursor {
  /** Milliseconds since 1970. */
  at = $state<number>();
  /** Which chart moved it last: that one shows its card. */
  by = $state<string>();

  move(at: number, by: string): void {
    this.at = at;
    this.by = by;
  }

  /** Takes it away, unless another chart has it by now. */
  leave(by: string): void {
    if (this.by !== by) return;
    this.at = undefined;
    this.by = undefined;
  }
}

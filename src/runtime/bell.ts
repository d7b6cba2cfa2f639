import type { Clock } from "../core/index.js";

/** A reason of its own: making the default one costs a stack trace each time. */
const OVER = "over";

/** A pause that can be cut short. Racing promises instead would pile up handlers on those that stay pending. */
export class Bell {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves after `ms` (Infinity: never by itself), when the bell rings, or at once if it rang since the last wait. */
  async wait(ms: number): Promise<void> {
    if (!this.#rung && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = new AbortController();
        const wake = () => {
          timer.abort(OVER);
          resolve();
        };
        this.#wake = wake;
        // This wait's own: waking a later one, whose timer then wakes the one after it, would never let the event loop run.
        if (ms < Number.POSITIVE_INFINITY) void this.#clock.sleep(ms, timer.signal).then(wake);
      });
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}

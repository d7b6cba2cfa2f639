import { type Clock, MillraceError } from "../../../src/core/index.js";
import type { Broker } from "./broker.js";
import type { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

/** How bad the network between a process and the broker is. All zero: it is perfect, and only takes time. */
export interface NetworkFaults {
  /** A request vanishes. */
  readonly requestLost01: number;
  /** The request is done, its answer vanishes. */
  readonly answerLost01: number;
  /** The request is done only after the caller has given up on it. */
  readonly requestLate01: number;
  readonly delayMsMost: number;
}

export const PERFECT: NetworkFaults = { requestLost01: 0, answerLost01: 0, requestLate01: 0, delayMsMost: 2 };

const TIMEOUT_MS = 400;

export interface ProcessOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly broker: Broker;
  readonly random: Random;
  readonly faults: NetworkFaults;
  /** The wall clock is wrong by so much; how fast the monotonic one runs. */
  readonly clock: { readonly skewMs: number; readonly rate: number };
  /** Dies just before its nth wake-up; undefined: by itself never. */
  readonly dieAt?: number;
  readonly onDeath?: () => void;
  readonly trace: (line: string) => void;
}

/**
 * A process: code that only ever goes on because something it awaited came about. A dead one is never woken again, whatever it
 * waits for; a paused one is woken late, for everything at once. What it had sent is on its way regardless.
 */
export class Process {
  readonly name: string;
  readonly clock: Clock;
  readonly #options: ProcessOptions;
  #wakeUps = 0;
  #isAlive = true;
  #pausedUntilMs = 0;
  readonly #held: (() => void)[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.name = options.name;
    const { scheduler, clock } = options;
    this.clock = {
      nowMs: () => 1_700_000_000_000 + Math.round(scheduler.nowMs) + clock.skewMs,
      monotonicMs: () => scheduler.nowMs * clock.rate,
      sleep: (ms, signal) => this.#sleep(ms / clock.rate, signal),
    };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#options.scheduler.nowMs < this.#pausedUntilMs;
  }

  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#options.trace(`${this.name} dies at wake-up ${this.#wakeUps}`);
    this.#options.onDeath?.();
  }

  /** As SIGSTOP and SIGCONT. */
  pause(ms: number): void {
    const { scheduler, trace } = this.#options;
    trace(`${this.name} is paused for ${ms} ms`);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, scheduler.nowMs + ms);
    scheduler.after(ms, () => {
      if (scheduler.nowMs < this.#pausedUntilMs) return;
      for (const wake of this.#held.splice(0)) this.#wake(wake);
    });
  }

  /** Goes on with something that came about. */
  wake(run: () => void): void {
    if (this.#options.scheduler.nowMs < this.#pausedUntilMs) this.#held.push(run);
    else this.#wake(run);
  }

  #wake(run: () => void): void {
    if (!this.#isAlive) return;
    if (++this.#wakeUps === this.#options.dieAt) this.kill();
    else run();
  }

  /** A request to the broker, which does `work` at one moment; what it throws comes back. Rejects with MR_LOG_UNAVAILABLE. */
  request<T>(what: string, work: (broker: Broker) => T): Promise<T> {
    const { scheduler, random, faults, broker } = this.#options;
    return new Promise((resolve, reject) => {
      const unavailable = () => reject(new MillraceError("MR_LOG_UNAVAILABLE", `${what}: no answer in time`));
      const giveUp = () => scheduler.after(TIMEOUT_MS, () => this.wake(unavailable));
      const there = random.next() * faults.delayMsMost;
      const back = random.next() * faults.delayMsMost;
      const fate = random.next();
      if (fate < faults.requestLost01) return giveUp();
      const isLate = fate < faults.requestLost01 + faults.requestLate01;
      const answerLost = fate > 1 - faults.answerLost01;
      broker.underWay++;
      const { wipes } = broker;
      scheduler.after(isLate ? TIMEOUT_MS * (1 + 9 * random.next()) : there, () => {
        broker.underWay--;
        if (!broker.isUp || broker.wipes > wipes) return isLate ? undefined : this.#answer(back, unavailable);
        let answer: () => void;
        try {
          const result = work(broker);
          answer = () => resolve(result);
        } catch (error) {
          answer = () => reject(error);
        }
        if (!isLate && !answerLost) this.#answer(back, answer);
      });
      if (isLate || answerLost) giveUp();
    });
  }

  #answer(ms: number, answer: () => void): void {
    this.#options.scheduler.after(ms, () => this.wake(answer));
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      let isOver = false;
      const end = () => {
        if (isOver) return;
        isOver = true;
        signal?.removeEventListener("abort", end);
        resolve();
      };
      signal?.addEventListener("abort", end, { once: true });
      this.#options.scheduler.after(ms, () => {
        if (!isOver) this.wake(end);
      });
    });
  }
}

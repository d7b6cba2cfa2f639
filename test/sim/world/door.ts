import type { Log, NewMessage } from "../../../src/core/index.js";
import type { Process } from "./process.js";
import { type SimEvent, START_MS } from "./programs.js";
import type { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

const RETRY_MS = 150;
const LETTERS = ["a", "b", "c", "d"];
/** What the input is partitioned by: in any number of partitions up to 3 each has one at least. */
const GROUPS = ["g0", "g1", "g2"];
const TICK_MS = 1_000;

export interface DoorOptions {
  readonly process: Process;
  readonly log: Log;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** As of now: where ticks and control messages go. */
  readonly partitions: () => number;
  /** Says in the log who writes to the second stage. Not where that may change: such a message could come late. */
  readonly announces: boolean;
  /** Events are sent until then. */
  readonly untilMs: number;
  readonly messages: number;
  /** Called when the producer of these events was told that they are stored. */
  readonly onAcknowledged: (events: readonly SimEvent[]) => void;
}

/** A door, and the clock: events at least once, in any order, some late, some broken, some sent again; ticks at most once. */
export class Door {
  readonly #options: DoorOptions;
  #underWay = 0;
  #planned = 0;

  constructor(options: DoorOptions) {
    this.#options = options;
    const { scheduler, random, partitions, untilMs, messages } = options;
    const producers = Array.from({ length: partitions() }, (_, partition) => `sim.counts/${partition}`);
    for (let partition = 0; options.announces && partition < partitions(); partition++)
      this.#later(0, () => this.#control(partition, producers));
    for (let atMs = TICK_MS / 2; atMs < untilMs; atMs += TICK_MS) scheduler.after(atMs, () => this.#tick(false));
    for (let i = 0; i < messages; i++) this.#later(random.next() * untilMs, () => this.#deliver(i));
  }

  /** Every event is in the log. */
  get isDone(): boolean {
    return this.#planned === 0 && this.#underWay === 0;
  }

  /** Time passes far beyond every event, and ends. */
  finish(): void {
    this.#tick(true);
  }

  #later(ms: number, run: () => void): void {
    this.#planned++;
    this.#options.scheduler.after(ms, () => {
      this.#planned--;
      run();
    });
  }

  #deliver(i: number): void {
    const { random, scheduler, onAcknowledged } = this.#options;
    const group = random.pick(GROUPS);
    const nowMs = START_MS + Math.floor(scheduler.nowMs);
    const events = Array.from({ length: random.between(1, 3) }, (_, j): SimEvent => {
      const lateMs = random.chance(0.04) ? 10_000 : random.between(0, 1_400);
      return {
        id: `e${i}.${j}`,
        key: `${group}-${random.pick(LETTERS)}`,
        at: nowMs - lateMs,
        n: random.between(1, 9),
      };
    });
    const lines = events.map((event) => JSON.stringify(event));
    if (random.chance(0.03)) lines.push('{"id":"broken"');
    const message = { subject: `in.input.${group}.e`, data: Buffer.from(lines.join("\n")) };
    this.#send(message, () => onAcknowledged(events));
    if (random.chance(0.08)) this.#later(random.next() * 2_000, () => this.#send(message, () => undefined));
  }

  #control(partition: number, producers: readonly string[]): void {
    const subject = `features.${partition}._ctl.producers`;
    this.#send({ subject, data: Buffer.from(JSON.stringify({ producers })) }, () => undefined);
  }

  #tick(isLast: boolean): void {
    const { scheduler, partitions, log } = this.#options;
    const nowMs = Math.floor(scheduler.nowMs / TICK_MS) * TICK_MS;
    const t = START_MS + nowMs + (isLast ? 60_000 : 0);
    const data = Buffer.from(JSON.stringify({ source: "live", t, ...(isLast && { retire: true }) }));
    for (let partition = 0; partition < partitions(); partition++) {
      const message = { subject: `input.${partition}._tick.live`, data };
      if (isLast) this.#send(message, () => undefined);
      else log.publish(message).catch(() => undefined); // the next tick says more
    }
  }

  #send(message: NewMessage, done: () => void): void {
    this.#underWay++;
    const attempt = async (): Promise<void> => {
      for (;;) {
        try {
          await this.#options.log.publish(message);
          break;
        } catch {
          await this.#options.process.clock.sleep(RETRY_MS);
        }
      }
      done();
      this.#underWay--;
    };
    void attempt();
  }
}

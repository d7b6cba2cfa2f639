import type { NewMessage } from "../../src/core/index.js";
import type { Pointer } from "../../src/runtime/index.js";
import type { BrokerObserver, StoredBody } from "./world/broker.js";

const POINTER = "snapshot/";

/**
 * At most one committing owner: once an owner has begun to read, nothing of a smaller epoch is accepted any more, and no epoch
 * belongs to two processes. Looks at what the broker accepts, not at what anybody believes.
 */
export class Owners implements BrokerObserver {
  readonly #problem: (problem: string) => void;
  readonly #say: (line: string) => void;
  /** By process and task: the epoch it last wrote with. */
  #writes = new Map<string, Map<string, number>>();
  /** By task: the largest epoch that has begun to read. */
  #begun = new Map<string, number>();
  /** By task and epoch: whose it is. */
  #holders = new Map<string, string>();

  #isRelaid = false;

  constructor(problem: (problem: string) => void, say: (line: string) => void) {
    this.#problem = problem;
    this.#say = say;
  }

  batch(
    stream: string,
    task: string,
    { epoch = 0, sequence, index, writer }: StoredBody,
    messages: readonly NewMessage[],
  ): void {
    if (this.#isRelaid && messages.length === 0) return;
    this.#say(`${writer} ${task}: ${messages.length} to ${stream}, marker ${sequence}/${index}, epoch ${epoch}`);
    this.#check(task, epoch, writer, `a batch to ${stream}`);
  }

  register(key: string, value: Uint8Array, writer: string): void {
    if (!key.startsWith(POINTER) || writer === "operator") return;
    const { epoch, kept } = JSON.parse(Buffer.from(value).toString()) as Pointer;
    const task = key.slice(POINTER.length);
    this.#say(`${writer} ${task}: pointer at ${kept.at(-1)?.sequence ?? 0}, epoch ${epoch}`);
    this.#check(task, epoch, writer, "a pointer");
  }

  read(reader: string, subjects: readonly string[]): void {
    const partition = subjects[0]?.split(".")[1];
    for (const [task, epoch] of this.#writes.get(reader) ?? []) {
      const isIts =
        task.endsWith(`/${partition}`) && subjects[0]?.startsWith(task.startsWith("sim.counts") ? "input" : "features");
      if (isIts) this.#begun.set(task, Math.max(epoch, this.#begun.get(task) ?? 0));
    }
  }

  /** Markers are gone: one that wakes up may put its own there, but nothing with it, for it cannot read its input any more. */
  relaid(): void {
    this.#isRelaid = true;
  }

  /** Everything was destroyed; epochs begin again. */
  forget(): void {
    this.#writes = new Map();
    this.#begun = new Map();
    this.#holders = new Map();
  }

  #check(task: string, epoch: number, writer: string, what: string): void {
    const begun = this.#begun.get(task) ?? 0;
    if (epoch < begun)
      this.#problem(`two owners of ${task}: ${what} of epoch ${epoch} was accepted after epoch ${begun} had begun`);
    const holder = this.#holders.get(`${task} ${epoch}`) ?? writer;
    if (holder !== writer) this.#problem(`two owners of ${task}: epoch ${epoch} belongs to ${holder} and ${writer}`);
    this.#holders.set(`${task} ${epoch}`, writer);
    const writes = this.#writes.get(writer) ?? new Map<string, number>();
    this.#writes.set(writer, writes.set(task, epoch));
  }
}

import {
  type Layouts,
  type Log,
  type LogMessage,
  MillraceError,
  type Registers,
  type StreamSpec,
} from "../core/index.js";
import { pointersOf, writePointer } from "./pointer.js";

const REGISTER = "repartition";
/** Who writes to a stage follows from the layout: what the former one said must not be said again. */
const PRODUCERS = "._ctl.producers";

/** A stream that tasks write, and so can write again. */
export interface DerivedStream {
  readonly name: string;
  /** What tasks have written there: all of it goes. */
  readonly subjects: readonly string[];
}

/** What the register says while a repartition is under way. */
interface Order {
  readonly partitions: number;
  /** By stream, every incarnation it has had that must not be met again. */
  readonly former: Readonly<Record<string, readonly string[]>>;
  /** By task, the epoch of its last owner before: one more fences him, two more would fence the next one. */
  readonly epochs: Readonly<Record<string, number>>;
  /** Control messages of derived streams, which nobody computes: they hold from the start of the new layout. */
  readonly controls: readonly { readonly stream: string; readonly rest: string; readonly data: string }[];
}

export interface RepartitionOptions {
  readonly log: Log;
  readonly registers: Registers;
  readonly layouts: Layouts;
  readonly partitions: number;
  /** Streams that the log files by partition, as they are to be. */
  readonly inputs: readonly StreamSpec[];
  readonly derived: readonly DerivedStream[];
  /** Streams that the log copies from those, as they are to be. */
  readonly followers: readonly StreamSpec[];
}

/**
 * Gives the log another number of partitions: the inputs stay where they are and are filed anew, everything derived from them is
 * forgotten and computed again from their beginning. So afterwards there is what a fresh instance says about the same input in the new
 * layout: nothing is lost, nothing twice, whatever the programs do. No state is split: of a model or a rule nobody could say how.
 *
 * Call while nobody runs a task. Interrupted anywhere it is under way (`underWay`) until it is called again, with the same number;
 * who slept through it finds his pointers, markers and incarnations gone. Rows of former incarnations are their sinks' to forget.
 *
 * Errors: MR_OPTION_INVALID when another number is under way; MR_LOG_TRUNCATED when the beginning of an input is gone (unless
 * `acceptLoss`); MR_LOG_UNAVAILABLE.
 */
export async function repartition(options: RepartitionOptions & { readonly acceptLoss?: boolean }): Promise<void> {
  const { log, registers, layouts, partitions, inputs, derived, followers } = options;
  if (options.acceptLoss !== true) for (const { name } of inputs) await checkWhole(log, name);
  const order = await begin(options);
  for (const spec of inputs) await layouts.relay(spec, partitions);
  for (const { name, subjects } of derived) await layouts.renew(name, partitions, subjects);
  for (const spec of followers) await layouts.follow(spec);
  for (const { stream, rest, data } of order.controls) {
    for (let partition = 0; partition < partitions; partition++)
      await log.publish({ subject: `${stream}.${partition}.${rest}`, data: Buffer.from(data, "base64") });
  }
  await beginAgain(options, order);
  await end(registers);
}

/** The number of partitions of a repartition that is not finished: nothing may run before it is. Errors: MR_LOG_UNAVAILABLE. */
export async function repartitionUnderWay(registers: Pick<Registers, "get">): Promise<number | undefined> {
  const stored = await registers.get(REGISTER);
  return stored && orderIn(stored.value)?.partitions;
}

async function checkWhole(log: Log, stream: string): Promise<void> {
  const { firstSequence } = await log.info(stream);
  if (firstSequence <= 1) return;
  throw new MillraceError(
    "MR_LOG_TRUNCATED",
    `log truncated: ${stream} begins at ${firstSequence}, so what was computed from the messages before cannot be computed again: ` +
      "leave the partitions as they are, or accept the loss with --accept-loss",
  );
}

/** Writes down what is to be done, and what must not be lost on the way, before anything changes. */
async function begin({ log, registers, partitions, inputs, derived }: RepartitionOptions): Promise<Order> {
  for (;;) {
    const stored = await registers.get(REGISTER);
    const before = stored && orderIn(stored.value);
    if (before !== undefined && before.partitions !== partitions)
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `a repartition to ${before.partitions} is under way: finish it with --partitions ${before.partitions} first`,
      );
    const former: Record<string, readonly string[]> = {};
    for (const { name } of [...inputs, ...derived]) {
      const { incarnation } = await log.info(name);
      former[name] = [...new Set([...(before?.former[name] ?? []), incarnation])];
    }
    const controls = before?.controls ?? (await controlsOf(log, derived));
    const epochs = before?.epochs ?? (await epochsOf(registers));
    const order: Order = { partitions, former, epochs, controls };
    const value = Buffer.from(JSON.stringify(order));
    if ((await registers.set(REGISTER, value, stored?.revision ?? 0)) !== undefined) return order;
  }
}

async function epochsOf(registers: Registers): Promise<Order["epochs"]> {
  const found = await pointersOf(registers);
  return Object.fromEntries(found.map(({ task, pointer }) => [task, pointer.epoch]));
}

/** The newest control message of each kind. */
async function controlsOf(log: Log, derived: readonly DerivedStream[]): Promise<Order["controls"]> {
  const found: { stream: string; rest: string; data: string }[] = [];
  for (const { name: stream } of derived) {
    const prefix = `${stream}.0.`;
    for (const subject of (await log.countSubjects(stream, `${prefix}_ctl.>`)).keys()) {
      const last: LogMessage | undefined = await log.last(stream, subject);
      if (last === undefined || subject.endsWith(PRODUCERS)) continue;
      found.push({ stream, rest: subject.slice(prefix.length), data: Buffer.from(last.data).toString("base64") });
    }
  }
  return found;
}

/** Every task of a former layout begins at the log's beginning, under a larger epoch: its former owner is fenced, awake or not. */
async function beginAgain({ log, registers }: RepartitionOptions, { former, epochs }: Order): Promise<void> {
  const now = new Map<string, string>();
  for (const [stream, incarnations] of Object.entries(former)) {
    const { incarnation } = await log.info(stream);
    for (const each of incarnations) now.set(each, incarnation);
  }
  for (const { task, pointer, revision } of await pointersOf(registers)) {
    const incarnation = now.get(pointer.incarnation);
    const before = epochs[task];
    if (incarnation === undefined || before === undefined) continue; // of another stream; or written late, and known as former
    const next = { ...pointer, incarnation, epoch: Math.max(pointer.epoch, before + 1), kept: [], borders: [] };
    if ((await writePointer(registers, task, next, revision)) === undefined)
      throw new MillraceError("MR_LOG_UNAVAILABLE", `resetting ${task}: somebody else changed it; try again`);
  }
}

/** The register stays: one that was removed has a revision that nobody is told. */
async function end(registers: Registers): Promise<void> {
  for (;;) {
    const stored = await registers.get(REGISTER);
    if (stored === undefined || orderIn(stored.value) === undefined) return;
    if ((await registers.set(REGISTER, Buffer.from("null"), stored.revision)) !== undefined) return;
  }
}

function orderIn(value: Uint8Array): Order | undefined {
  return (JSON.parse(Buffer.from(value).toString()) as Order | null) ?? undefined;
}

import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import { type Operator, Runtime } from "../../../../src/operators/engine/topology/runtime.js";
import type { Reading } from "./arrivals.js";

/** An operator by itself, without the program that drives it: what each call of its own says. */
export class Driven<O extends Operator> {
  readonly rows: unknown[] = [];
  readonly late: number[] = [];
  readonly runtime = new Runtime({
    onLate: ({ lateByMs }) => this.late.push(lateByMs),
    onDead: (error) => {
      throw error;
    },
  });
  readonly operator: O;
  readonly #push: (value: Reading) => void;

  constructor(
    make: (runtime: Runtime, next: (row: unknown) => void) => O,
    pushOf: (operator: O, value: Reading) => void,
  ) {
    this.operator = make(this.runtime, (row) => this.rows.push(row));
    this.#push = (value) => pushOf(this.operator, value);
  }

  event(event: Reading): void {
    this.runtime.now.key = event.key;
    this.runtime.now.timeMs = event.timeMs;
    this.runtime.attempt(this.#push, event);
  }

  /** Moves it on as a program does. */
  advance(toMs: number): void {
    this.runtime.now.watermarkMs = toMs;
    this.operator.advance(toMs);
  }

  /** The rows of each step of an advance. */
  stepwise(toMs: number): number[] {
    this.runtime.now.watermarkMs = toMs;
    const sizes: number[] = [];
    const rest = this.operator.advanceInSteps?.(toMs);
    for (let done = false; rest !== undefined && !done; ) {
      const before = this.rows.length;
      done = rest.next().done === true;
      sizes.push(this.rows.length - before);
    }
    return sizes;
  }

  saved(): Uint8Array {
    const writer = new ByteWriter();
    this.operator.save(writer);
    return writer.finish();
  }

  load(bytes: Uint8Array): this {
    this.operator.load(new ByteReader(bytes));
    return this;
  }
}

import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../../../src/operators/engine/state/bytes.js";
import type { Key } from "../../../../src/operators/engine/state/keys.js";
import type { Steps } from "../../../../src/operators/engine/state/steps.js";
import { type HeldPart, type Operator, Runtime } from "../../../../src/operators/engine/topology/runtime.js";
import { nearbySteps, type Reading, type Step, steps } from "./arrivals.js";

/** What a test throws on purpose. */
export const PLANTED = new Error("planted");

/** An operator by itself, without the program that drives it: what each call of its own says. */
export class Driven<O extends Operator> {
  readonly rows: unknown[] = [];
  /** The time of each row, and key and time of what could not be made or said. */
  readonly times: number[] = [];
  readonly dead: (readonly [key: Key, timeMs: number])[] = [];
  readonly late: number[] = [];
  readonly runtime = new Runtime({
    onLate: ({ lateByMs }) => this.late.push(lateByMs),
    onDead: (error) => {
      if (error !== PLANTED) throw error;
      this.dead.push([this.runtime.now.key, this.runtime.now.timeMs]);
    },
  });
  readonly operator: O;
  readonly #push: (value: Reading) => void;

  constructor(
    make: (runtime: Runtime, next: (row: unknown) => void) => O,
    pushOf: (operator: O, value: Reading) => void,
  ) {
    this.operator = make(this.runtime, (row) => {
      this.rows.push(row);
      this.times.push(this.runtime.now.timeMs);
    });
    this.#push = (value) => pushOf(this.operator, value);
  }

  event(event: Reading): void {
    this.runtime.now.key = event.key;
    this.runtime.now.timeMs = event.timeMs;
    this.runtime.attempt(this.#push, event);
  }

  /** An event of which something that follows throws: all it has changed is taken back. */
  fails(event: Reading): void {
    const [rows, late] = [this.rows.length, this.late.length];
    this.runtime.now.key = event.key;
    this.runtime.now.timeMs = event.timeMs;
    this.runtime.attempt((value: Reading) => {
      this.#push(value);
      throw PLANTED;
    }, event);
    this.rows.length = rows;
    this.late.length = late;
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

  /** One step; of the events, one in five fails. */
  take(step: Step, nth: number): void {
    if (step.kind === "mark") this.advance(step.timeMs);
    else if (step.event.id % 5 === nth) this.fails(step.event);
    else this.event(step.event);
  }

  held(key: Key): readonly HeldPart[] {
    return this.operator.held?.(key) ?? [];
  }

  heldKeys(): readonly Key[] {
    return [...(this.operator.heldKeys?.() ?? [])].sort();
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

/** What is saved in steps is what was held when the save began, whatever comes between two steps; and the saving leaves no trace. */
export function savesTheMoment<O extends Operator>(create: () => Driven<O>, seed: number): void {
  const property = fc.property(nearbySteps(), fc.nat(3), fc.nat(5), (all, every, nth) => {
    const [driven, twin] = [create(), create()];
    assert.ok(driven.operator.saveInSteps);
    let writer = new ByteWriter();
    let expected: Uint8Array = new Uint8Array();
    let save: Steps | undefined;
    const go = (): void => {
      if (save?.next().done !== true) return;
      assert.deepEqual(writer.finish(), expected);
      save = undefined;
    };
    all.forEach((step, i) => {
      if (save === undefined) {
        writer = new ByteWriter();
        expected = driven.saved();
        save = driven.operator.saveInSteps?.(writer);
        save?.next();
      } else if (i % (every + 1) === 0) {
        go();
      }
      for (const one of [driven, twin]) one.take(step, nth);
    });
    while (save !== undefined) go();
    assert.deepEqual(driven.rows, twin.rows);
    assert.deepEqual(driven.saved(), twin.saved());
  });
  fc.assert(property, { seed, numRuns: 60 });
}

/** What fails leaves no trace, not in what is saved and not in what is said later, whatever else has happened. */
export function leavesNoTrace<O extends Operator>(create: () => Driven<O>, seed: number): void {
  const property = fc.property(fc.oneof(steps({ spanMs: 30 }), nearbySteps()), fc.nat(4), (all, nth) => {
    const [driven, twin] = [create(), create()];
    for (const step of all) {
      if (step.kind === "mark") {
        for (const one of [driven, twin]) one.advance(step.timeMs);
        driven.operator.advance(step.timeMs - 4); // time does not go back
      } else if (step.event.id % 5 === nth) {
        const before = driven.saved();
        driven.fails(step.event);
        assert.deepEqual(driven.saved(), before, `event ${step.event.id}`);
      } else {
        for (const one of [driven, twin]) one.event(step.event);
      }
      assert.deepEqual(driven.rows, twin.rows);
    }
    assert.deepEqual(driven.late, twin.late);
    assert.deepEqual(driven.saved(), twin.saved());
    assert.equal(driven.runtime.lateCount, twin.runtime.lateCount);
    assert.deepEqual(driven.operator.metrics().keys, twin.operator.metrics().keys);
  });
  fc.assert(property, { seed, numRuns: 240 });
}

/** One long advance says and leaves what short ones do; whatever is said was due, and what is due is not left behind. */
export function takesAnyStride<O extends Operator>(
  create: () => Driven<O>,
  seed: number,
  arrivals = steps({ spanMs: 40 }),
): void {
  const property = fc.property(arrivals, (all) => {
    const [long, short] = [create(), create()];
    let reachedMs = -100;
    for (const step of all) {
      if (step.kind === "event") {
        for (const one of [long, short]) one.event(step.event);
        continue;
      }
      const toMs = Math.min(step.timeMs, 200);
      long.advance(toMs);
      while (reachedMs < toMs) {
        reachedMs++;
        const dueMs = short.operator.nextMs();
        const before = short.rows.length;
        short.advance(reachedMs);
        if (short.rows.length > before) assert.ok(dueMs <= reachedMs, `said at ${reachedMs}, due at ${dueMs}`);
        assert.ok(short.operator.nextMs() > reachedMs, `nothing is left at ${reachedMs}`);
      }
      assert.deepEqual(long.rows, short.rows);
      assert.deepEqual(long.late, short.late);
      assert.deepEqual(long.saved(), short.saved());
      const loaded = create().load(short.saved());
      loaded.advance(toMs);
      assert.ok(loaded.operator.nextMs() > toMs, "nor when it is loaded");
      assert.ok(loaded.operator.nextMs() >= short.operator.nextMs(), "timers that hold no more are not saved");
      assert.deepEqual([loaded.rows, loaded.saved()], [[], short.saved()]);
    }
    for (const one of [long, short]) {
      assert.equal(one.operator.nextMs(), Number.POSITIVE_INFINITY, "nothing held, nothing due");
      assert.equal(one.operator.metrics().keys, 0);
      assert.deepEqual(one.heldKeys(), []);
    }
  });
  fc.assert(property, { seed, numRuns: 90 });
}

import assert from "node:assert/strict";
import t from "tap";
import type { LogMessage, Output, TaskContext } from "../../../../src/core/index.js";
import {
  count,
  hopping,
  max,
  pipeline,
  session,
  sum,
  sumIntegers,
  type Topology,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import { atOnce } from "../../../../src/operators/engine/state/steps.js";
import type { Reading } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

const CONTEXT: TaskContext = {
  task: "steps/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};
/** What one step may fire: a pause of about a ms, whatever the number of keys. */
const ROWS_A_STEP = 256;
const KEYS = 6_000;

const keyed = (name: string) =>
  pipeline(name)
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key);

/** One operator each that has something to say of every key at once. */
const OPERATORS: Readonly<Record<string, () => Topology>> = {
  tumbling: () =>
    keyed("tumbling")
      .window("w", tumbling({ sizeMs: 1_000, earlyEveryMs: 400, latenessMs: 500 }))
      .aggregate({ n: count(), total: sum("x") })
      .to(testTarget()),
  "tumbling by number": () =>
    pipeline("number")
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ id }) => id % KEYS)
      .window("w", tumbling({ sizeMs: 1_000 }))
      .aggregate({ n: count() })
      .to(testTarget()),
  "hopping, subtracted": () =>
    keyed("subtracted")
      .window("w", hopping({ sizeMs: 1_000, slideMs: 500 }))
      .aggregate({ n: count(), total: sumIntegers("x") })
      .to(testTarget()),
  "hopping, merged": () =>
    keyed("merged")
      .window("w", hopping({ sizeMs: 1_000, slideMs: 500 }))
      .aggregate({ highest: max("x") })
      .to(testTarget()),
  session: () =>
    keyed("session")
      .window("w", session({ gapMs: 1_000 }))
      .aggregate({ n: count() })
      .to(testTarget()),
  timers: () =>
    keyed("timers")
      .process<number, unknown>("p", {
        ttlMs: 2_000,
        init: () => 0,
        onEvent: (n, _value, at) => {
          at.setTimer(1_000);
          return n + 1;
        },
        onTimer: (n, _timeMs, at) => {
          at.emit([at.key, n]);
          return n;
        },
      })
      .to(testTarget()),
  "interval join": () => {
    const all = keyed("interval");
    const none = all.filter(({ x }) => x > 1_000_000);
    return all
      .joinInterval("j", none, { beforeMs: 0, afterMs: 1_000, combine: ({ id }) => id, unmatched: ({ id }) => id })
      .to(testTarget());
  },
  "window join": () => {
    const all = keyed("windowed");
    return all.joinWindow("j", all, { sizeMs: 1_000, combine: (a, b) => [a.id, b.id] }).to(testTarget());
  },
  "in order": () => {
    const topology = pipeline("order");
    topology
      .from(testSource<Reading>())
      .map(readingOf)
      .inOrder("o", { order: ({ id }) => String(id) })
      .to(testTarget());
    return topology;
  },
};

function messages(): LogMessage[] {
  const all: LogMessage[] = [];
  const none = new Uint8Array(0);
  const header = (): undefined => undefined;
  const tick = (at: number): void => {
    const data = Buffer.from(JSON.stringify({ source: "live", t: at, mark: at }));
    all.push({ sequence: all.length, subject: "test.0._tick.live", data, header });
  };
  tick(0);
  for (let i = 0; i < 2 * KEYS; i++) {
    const id = (i * 7_919) % KEYS;
    const event: Reading = { id, key: `k${id % 97}-${id}`, timeMs: i < KEYS ? 10 : 20, x: i % 50 };
    const sent = { timeMs: event.timeMs, value: event };
    all.push({ sequence: all.length, subject: "test.0.event", data: none, header, sent } as LogMessage);
  }
  for (const at of [450, 1_000, 1_600, 5_000]) tick(at);
  return all;
}

t.test("whatever is due at once is fired in short steps, and says just what it says in one go", async (t) => {
  for (const [name, topology] of Object.entries(OPERATORS)) {
    const [whole, stepwise] = [topology().create(CONTEXT), topology().create(CONTEXT)];
    const [expected, said]: [Output[], Output[]] = [[], []];
    let longest = 0;
    let steps = 0;
    for (const message of messages()) {
      whole.apply(message, undefined, (output) => expected.push(output));
      let before = said.length;
      const emit = (output: Output) => void said.push(output);
      const rest = stepwise.applyInSteps(message, undefined, emit);
      longest = Math.max(longest, said.length - before);
      if (rest === undefined) continue;
      for (let done = false; !done; steps++) {
        before = said.length;
        done = rest.next().done === true;
        longest = Math.max(longest, said.length - before);
      }
    }
    assert.deepEqual(said, expected, name);
    assert.deepEqual(stepwise.save(), whole.save(), name);
    t.ok(said.length >= KEYS, `${name}: ${said.length} rows`);
    t.ok(longest > 0 && longest <= ROWS_A_STEP, `${name}: ${longest} rows in the longest of ${steps} steps`);
  }
});

t.test("a save goes on while a window fires in steps, and gives the bytes of its moment", async (t) => {
  for (const name of ["tumbling", "session", "timers", "hopping, merged"]) {
    const program = (OPERATORS[name] as () => Topology)().create(CONTEXT);
    const all = messages();
    const ignore = (): void => undefined;
    for (const message of all.slice(0, -3)) program.apply(message, undefined, ignore);
    const expected = program.save();
    const save = program.beginSave();
    let done = false;
    for (const message of all.slice(-3)) {
      const rest = program.applyInSteps(message, undefined, ignore);
      while (rest !== undefined && rest.next().done !== true) if (!done) done = save.step();
    }
    while (!done) done = save.step();
    t.ok(Buffer.concat(save.parts as Uint8Array[]).equals(expected), name);
  }
});

t.test("steps: all in one go gives what the last one returns", async (t) => {
  const made: number[] = [];
  const steps = function* () {
    made.push(1);
    yield;
    made.push(2);
    return "both";
  };
  t.equal(atOnce(steps()), "both");
  t.same(made, [1, 2]);
});

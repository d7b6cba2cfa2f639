import { setImmediate as turn } from "node:timers/promises";
import { pino } from "pino";
import t from "tap";
import { type Clock, MillraceError, type Objects, type Program, type Registers } from "../../src/core/index.js";
import { readPointer } from "../../src/runtime/index.js";
import { Pace } from "../../src/runtime/pace.js";
import type { Snapshot } from "../../src/runtime/pointer.js";
import { Saving } from "../../src/runtime/saving.js";
import { Snapshots, toKeep } from "../../src/runtime/snapshots.js";

const DAY_MS = 86_400_000;
const IDENTITY = { task: "p/0", incarnation: "abc", program: "one" };

/** Stores in memory that note what is asked of them. */
function stores() {
  const objects = new Map<string, Uint8Array>();
  const registers = new Map<string, { value: Uint8Array; revision: number }>();
  let revision = 0;
  const asObjects: Objects = {
    put: async (name, bytes) => void objects.set(name, bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes)),
    get: async (name) => objects.get(name),
    remove: async (name) => void objects.delete(name),
    list: async (prefix) => [...objects.keys()].filter((name) => name.startsWith(prefix)),
  };
  const asRegisters: Registers = {
    get: async (key) => registers.get(key),
    set: async (key, value, expected) => {
      if ((registers.get(key)?.revision ?? 0) !== expected) return undefined;
      registers.set(key, { value, revision: ++revision });
      return revision;
    },
    remove: async (key) => registers.delete(key),
    list: async () => [],
  };
  return { names: () => [...objects.keys()].sort(), stored: objects, objects: asObjects, registers: asRegisters };
}

t.test("a save in steps: others work in between, and it is committed when its outputs are acknowledged", async (t) => {
  const { objects, registers } = stores();
  const snapshots = await Snapshots.takeOver({ objects, registers }, IDENTITY, 1);
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => 1_000,
    monotonicMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
    },
  };
  let steps = 0;
  let received = 0;
  const program = {
    watermarkMs: () => 77,
    counters: () => ({ received }),
    beginSave: () => ({
      step: () => {
        nowMs += 1; // a step takes a millisecond
        return ++steps >= 8;
      },
      parts: [Buffer.from("sta"), Buffer.from("te")],
    }),
  } as unknown as Program;
  let acknowledge: () => void = () => undefined;
  const asked: number[] = [];
  const acknowledged = (sequence: number) => {
    asked.push(sequence);
    return new Promise<void>((resolve) => {
      acknowledge = resolve;
    });
  };
  let changes = 0;
  const saving = new Saving(
    {
      ...{ task: "p/0", program, snapshots, clock, pace: new Pace(), logger: pino({ level: "silent" }), acknowledged },
      intervals: { messages: 10, busyMs: 100, quietMs: 1_000 },
      onChange: () => changes++,
    },
    0,
  );
  t.equal(saving.dueMs(), Number.POSITIVE_INFINITY, "nothing to save");
  saving.turn(4, 4);
  t.equal(saving.dueMs(), 1_000, "a few messages can wait");
  received = 10;
  t.equal(saving.dueMs(), 100, "many events not so long, however few their messages");
  received = 0;
  saving.turn(6, 10);
  t.equal(saving.dueMs(), 100, "nor many messages");
  nowMs += 100;
  saving.turn(1, 11);
  t.equal(steps, 3, "three milliseconds of work, then the messages go on");
  t.equal(saving.dueMs(), Number.POSITIVE_INFINITY, "a rest first");
  saving.turn(20, 31);
  t.equal(steps, 3, "however often the messages wake the task");
  await turn();
  t.equal(changes, 1, "rested");
  t.equal(saving.dueMs(), 0, "more is to be done even when nothing comes");
  saving.turn(0, 31);
  t.equal(steps, 6);
  await turn();
  saving.turn(0, 31);
  await turn();
  t.same(asked, [11], "the cut, not what was applied since");
  const pointer = async () => (await readPointer(registers, "p/0")).pointer;
  t.same((await pointer())?.kept, [], "stored, and not committed");
  t.equal(saving.sequence, 0);
  saving.turn(30, 61);
  t.equal(steps, 8, "one at a time");
  acknowledge();
  await saving.settled();
  t.equal(saving.sequence, 11);
  t.match((await pointer())?.kept, [{ sequence: 11, watermarkMs: 77, savedMs: 1_000, program: "one" }]);
  t.equal(Buffer.from((await objects.get("p/0/11-1")) ?? []).toString(), "state");
  t.equal(changes, 3, "two rests and the commit");
});

t.test("saves of one thread take turns, and rest together", async (t) => {
  const { objects, registers } = stores();
  let nowMs = 0;
  const slept: number[] = [];
  const clock: Clock = {
    nowMs: () => 1_000,
    monotonicMs: () => nowMs,
    sleep: async (ms) => void slept.push(ms),
  };
  const pace = new Pace();
  const steps = { a: 0, b: 0 };
  const savings = await Promise.all(
    (["a", "b"] as const).map(async (which) => {
      const identity = { ...IDENTITY, task: `p/${which}` };
      const snapshots = await Snapshots.takeOver({ objects, registers }, identity, 1);
      const step = () => {
        nowMs += 1;
        steps[which]++;
        return false;
      };
      const program = {
        watermarkMs: () => 0,
        counters: () => ({ received: 0 }),
        beginSave: () => ({ step, parts: [] }),
      };
      const intervals = { messages: 1, busyMs: 0, quietMs: 0 };
      return new Saving(
        {
          ...{ task: identity.task, program: program as unknown as Program, snapshots, clock, intervals, pace },
          ...{ logger: pino({ level: "silent" }), acknowledged: async () => undefined, onChange: () => undefined },
        },
        0,
      );
    }),
  );
  const turns = async (ms: number) => {
    nowMs += ms;
    for (const saving of savings) saving.turn(1, 1);
    await turn();
    return `${steps.a} ${steps.b}`;
  };
  t.equal(await turns(0), "3 0", "one works, both rest");
  t.same(slept, [15, 15]);
  t.equal(await turns(14), "3 0");
  t.equal(await turns(1), "6 0");
  savings.reverse();
  t.equal(await turns(15), "6 3", "whose turn comes first");
  t.equal(await turns(25), "6 8", "longer where turns are long");
});

t.test("three snapshots and the first of each day are kept, objects with them", async (t) => {
  const { objects, registers, names } = stores();
  const first = await Snapshots.takeOver({ objects, registers }, IDENTITY, 1);
  const commit = async (snapshots: Snapshots, sequence: number, savedMs: number) => {
    const object = await snapshots.store(sequence, [Buffer.from(String(sequence))]);
    await snapshots.commit({ sequence, object, watermarkMs: null, savedMs });
  };
  for (let i = 1; i <= 6; i++) await commit(first, i, i * 1_000);
  t.same(names(), ["p/0/1-1", "p/0/4-1", "p/0/5-1", "p/0/6-1"]);
  for (let i = 7; i <= 9; i++) await commit(first, i, DAY_MS + i);
  t.same(names(), ["p/0/1-1", "p/0/7-1", "p/0/8-1", "p/0/9-1"]);
  await first.store(10, [Buffer.from("never committed")]);

  const second = await Snapshots.takeOver({ objects, registers }, IDENTITY, 2);
  await t.rejects(commit(first, 11, DAY_MS + 11), { code: "MR_FENCED" }, "the former owner commits no more");
  const wiped = new MillraceError("MR_LOG_LOST_DATA", "another log");
  await t.rejects(
    second.removeOrphans(() => Promise.reject(wiped)),
    wiped,
  );
  t.equal(names().length, 6, "of a log that is not ours nothing is removed");
  await second.removeOrphans(async () => undefined);
  t.same(names(), ["p/0/1-1", "p/0/7-1", "p/0/8-1", "p/0/9-1"], "what it left is removed");
  const restored = await second.restore();
  t.match(restored, { sequence: 9, isNewProgram: false });
  await objects.remove("p/0/9-1");
  t.equal((await second.restore()).sequence, 8, "a lost one is replaced by the one before");
  await t.rejects(Snapshots.takeOver({ objects, registers }, IDENTITY, 1), { code: "MR_FENCED" });

  const at = (savedMs: number): Snapshot => ({
    sequence: savedMs,
    object: "",
    watermarkMs: null,
    savedMs,
    program: "",
  });
  const month = toKeep(Array.from({ length: 60 * 4 }, (_, i) => at((i * DAY_MS) / 4)));
  t.equal(month.length, 35 + 3, "the first of each of 35 days, and the newest three");
});

t.test("a pointer of the first format is understood", async (t) => {
  const { objects, registers } = stores();
  const old = { format: 1, epoch: 9, sequence: 5, object: "p/0/5-9", incarnation: "abc", program: "one" };
  await registers.set("snapshot/p/0", Buffer.from(JSON.stringify(old)), 0);
  await objects.put("p/0/5-9", Buffer.from("five"));
  const snapshots = await Snapshots.takeOver({ objects, registers }, { ...IDENTITY, program: "two" }, 1);
  t.match(await snapshots.restore(), { sequence: 5, isNewProgram: true });
  await snapshots.recordBorder(2, 5, { out: { sequence: 5, index: 1 } });
  const { pointer } = await readPointer(registers, "p/0");
  t.match(pointer, {
    format: 2,
    program: "two",
    borders: [{ program: "two", version: 2, from: 5, incarnation: "abc" }],
  });
});

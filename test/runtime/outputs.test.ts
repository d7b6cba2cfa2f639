import t, { type Test } from "tap";
import { type Clock, type Log, MillraceError, type NewMessage, type Output } from "../../src/core/index.js";
import { OutputWriter } from "../../src/runtime/outputs.js";
import { memoryLog } from "../support/memory-log.js";

/** A log whose batches wait until they are let through, on a clock that stands still. */
async function held(t: Test) {
  const memory = memoryLog();
  await memory.ensureStream({ name: "features", subjects: ["features.>"], maxBytes: 1_000_000 });
  const batches: (readonly NewMessage[])[] = [];
  const gates: (() => void)[] = [];
  let isGated = false;
  const log: Log = {
    ...memory,
    async writeBatch(batch) {
      if (isGated) await new Promise<void>((resolve) => gates.push(resolve));
      if (batch.messages.length > 0) batches.push(batch.messages);
      return memory.writeBatch(batch);
    },
  };
  let nowMs = 1_000;
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, sleep: async () => undefined };
  const { incarnation } = await memory.info("features");
  let stored: () => void = () => undefined;
  const writer = await OutputWriter.open({
    ...{ log, clock, incarnation, task: "p/0", epoch: 1, prefix: "i/p/0", streams: ["features"] },
    checkSource: async () => undefined,
    signal: new AbortController().signal,
    onChange: () => stored(),
  });
  t.teardown(() => writer.stop());
  isGated = true;
  return {
    writer,
    sent: () => batches.map((messages) => messages.map(({ data }) => shortened(Buffer.from(data).toString()))),
    passMs: (ms: number) => {
      nowMs += ms;
    },
    /** Lets the batch in flight through and waits until it is stored. */
    async letThrough() {
      const acknowledged = new Promise<void>((resolve) => {
        stored = resolve;
      });
      gates.shift()?.();
      await acknowledged;
      await Promise.resolve(); // the lane is free one turn later
    },
  };
}

function shortened(text: string): string {
  return text
    .split("\n")
    .map((line) => JSON.parse(line) as { watermarkMs?: number; n?: number })
    .map(({ watermarkMs, n }) => (watermarkMs === undefined ? `row ${n}` : `mark ${watermarkMs}`))
    .join(", ");
}

const row = (n: number): Output => ({
  stream: "features",
  subject: "features.0.k",
  record: { kind: "row", n },
  pack: true,
});
const mark = (watermarkMs: number, partition = 0): Output => ({
  stream: "features",
  subject: `features.${partition}._mark.p`,
  record: { kind: "mark", task: "p/0", watermarkMs },
});

t.test("of marks that travel in one batch the last of each subject is written", async (t) => {
  const { writer, sent, letThrough } = await held(t);
  writer.begin(1);
  for (const output of [mark(1), mark(1, 1), row(1), mark(2), row(2), mark(3)]) writer.add(output);
  writer.send();
  writer.begin(2);
  for (const output of [row(3), mark(4), row(4)]) writer.add(output);
  writer.send();
  await letThrough();
  await letThrough();
  t.same(sent(), [
    ["mark 1", "row 1, row 2", "mark 3"],
    ["row 3", "mark 4", "row 4"],
  ]);
  t.same(writer.markers(), { features: { sequence: 2, index: 3 } });
  t.equal(writer.held, 0);
});

t.test("a mark that is taken back leaves the one before it in force", async (t) => {
  const { writer, sent, letThrough } = await held(t);
  writer.begin(1);
  for (const output of [row(1), mark(1), mark(2)]) writer.add(output);
  writer.begin(2);
  for (const output of [mark(3), row(2), mark(4)]) writer.add(output);
  writer.dropLast();
  t.equal(writer.held, 3);
  writer.begin(3);
  writer.add(row(5));
  writer.send();
  await letThrough();
  t.same(sent(), [["row 1", "mark 2", "row 5"]]);
});

t.test("a stream rests as long as its last batch took, alerts and full batches aside", async (t) => {
  const { writer, sent, passMs, letThrough } = await held(t);
  t.equal(writer.restedMs(), Number.POSITIVE_INFINITY, "nothing waits");
  writer.begin(1);
  writer.add(row(1));
  t.ok(writer.restedMs() <= 1_000, "the first is sent at once");
  writer.sendRested();
  t.equal(writer.restedMs(), Number.POSITIVE_INFINITY, "in flight");
  passMs(7);
  await letThrough();
  writer.begin(2);
  writer.add(row(2));
  t.equal(writer.restedMs(), 1_014);
  passMs(6);
  writer.sendRested();
  t.equal(sent().length, 1, "1 ms early");
  passMs(1);
  writer.sendRested();
  passMs(500);
  await letThrough();
  t.same(sent(), [["row 1"], ["row 2"]]);
  writer.begin(3);
  writer.add(row(3));
  t.equal(writer.restedMs(), 1_014 + 500 + 100, "100 ms at most");
  for (let n = 4; n < 1_002; n++) writer.add(row(n));
  writer.sendRested();
  await letThrough();
  t.equal(sent().length, 3, "a full batch does not wait");
});

t.test(
  "a marker of another log: begun anew by who reads that log, left alone by who slept while it was wiped",
  async (t) => {
    const log = memoryLog();
    await log.ensureStream({ name: "features", subjects: ["features.>"], maxBytes: 1_000_000 });
    const marker = { sequence: 16, index: 3, epoch: 1, incarnation: "new" };
    await log.writeBatch({ stream: "features", task: "p/0", messages: [], marker, expectedAt: 0 });
    const open = (incarnation: string, present: string) =>
      OutputWriter.open({
        ...{ log, incarnation, task: "p/0", epoch: 2, prefix: "i/p/0", streams: ["features"] },
        clock: { nowMs: () => 0, monotonicMs: () => 0, sleep: async () => undefined },
        checkSource: async () => {
          if (incarnation !== present) throw new MillraceError("MR_LOG_LOST_DATA", "another log");
        },
        signal: new AbortController().signal,
        onChange: () => undefined,
      });
    await t.rejects(open("old", "new"), { code: "MR_LOG_LOST_DATA" });
    t.match(await log.readMarker("features", "p/0"), marker, "as it was");
    t.match((await open("new", "new")).markers(), { features: { sequence: 16, index: 3 } });
    t.match((await open("newer", "newer")).markers(), { features: { sequence: 0, index: 0 } });
  },
);

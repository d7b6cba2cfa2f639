import t from "tap";
import { MillraceError, type Registers } from "../../../src/core/index.js";
import { type Block, takeOver } from "../../../src/sinks/clickhouse/announcer.js";
import { memoryRegisters } from "../../support/memory-registers.js";
import { INCARNATION, logWith, modelSink, run, text } from "./model-sink.js";
import { delivery, reading, until } from "./support.js";

/** A writer before ours announced the block and was not heard of again. */
async function announced(block: Block): Promise<Registers> {
  const registers = memoryRegisters();
  const announcer = await takeOver({ registers, table: "readings", incarnation: INCARNATION, writer: "before" });
  await announcer.announce(block);
  return registers;
}

t.test("a block of which nothing is left is owed no more", async (t) => {
  const sink = modelSink();
  const log = await logWith("accepted");
  const registers = await announced({ after: 0, from: 1, to: 2 });
  await log.publish({ subject: "accepted._at.mine/0", data: Buffer.from("{}") });
  await log.publish({ subject: "accepted._at.mine/0", data: Buffer.from("{}") });
  await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0)) });
  const running = run(log, sink, "accepted", { registers });
  await until("stored", () => running.task.position() === 3);
  t.same(
    sink.blocks.map(({ token }) => token),
    [`readings/${INCARNATION}/3-3`],
  );
  t.equal(running.task.wait(), undefined);
  await running.stop();
});

t.test(
  "a database that takes a block and has none of its rows is asked under a few tokens, then with pauses",
  async (t) => {
    const sink = modelSink();
    const log = await logWith("accepted");
    const { write } = sink;
    const tokens: string[] = [];
    sink.write = async (_table, _rows, token) => {
      tokens.push(token);
      if (tokens.length === 1) throw new MillraceError("MR_SINK_UNAVAILABLE", "it died in the middle");
    };
    await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0)) });
    const running = run(log, sink, "accepted");
    await until("it says so", () => (running.task.wait()?.failures ?? 0) >= 3);
    const token = `readings/${INCARNATION}/1-1`;
    t.same(
      tokens.slice(0, 6),
      ["", "", "+", "++", "+++", "+++"].map((more) => token + more),
    );
    t.match(running.task.wait()?.reason, /knows the block's token and has none of its rows/);
    sink.write = write;
    await until("stored", () => running.task.position() === 1);
    t.equal(running.task.stored("readings"), 1);
    t.equal(running.task.wait(), undefined);
    await running.stop();
  },
);

t.test(
  "a block of which something is left is stored as the same block, as soon as its messages were read",
  async (t) => {
    const sink = modelSink();
    const log = await logWith("accepted");
    const registers = await announced({ after: 0, from: 1, to: 3 });
    await log.publish({ subject: "accepted._at.mine/0", data: Buffer.from("{}") });
    await log.publish({ subject: "accepted.0.telemetry", data: text(reading(0)) });
    await log.publish({ subject: "accepted.1.github", data: text(delivery(0)) });
    const running = run(log, sink, "accepted", { registers });
    await until("stored", () => running.task.position() === 3);
    t.same(
      sink.blocks.filter(({ table }) => table === "readings"),
      [{ table: "readings", token: `readings/${INCARNATION}/1-3`, rows: 1 }],
    );
    await running.stop();
  },
);

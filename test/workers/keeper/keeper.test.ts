import t from "tap";
import { createLogger } from "../../../src/core/index.js";
import {
  forgetReader,
  listReaders,
  registerReader,
  runKeeper,
  streamLimits,
} from "../../../src/workers/keeper/index.js";
import { wallClock } from "../../support/clock.js";
import { emptyLog } from "../../support/log.js";

const HOUR_MS = 3_600_000;

t.test("a stream is kept for its retention, its readers and its live markers", async (t) => {
  const connection = await emptyLog(t);
  const { log, space, registers } = connection;
  const data = Buffer.from("{}");
  const fill = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) await log.publish({ subject: "alerts.0.mine", data });
  };
  let committed = 0;
  let nowMs = Date.now();
  const options = {
    ...{ log, space, registers, streams: ["alerts"], retentionMs: HOUR_MS, logger: createLogger("silent") },
    clock: { ...wallClock, nowMs: () => nowMs },
    committed: async () => committed,
  };
  const limits = async () => (await streamLimits(options))[0];

  await fill(10);
  t.match(await limits(), { from: 1, heldBy: undefined }, "young: everything stays");
  nowMs += 2 * HOUR_MS;
  t.match(await limits(), { from: 11, heldBy: undefined }, "old and nobody reads it: all may go");

  await registerReader(registers, { stream: "alerts", name: "some.pipeline/0", kind: "task" });
  await registerReader(registers, { stream: "alerts", name: "some.pipeline/0", kind: "task" });
  t.equal((await listReaders(registers)).length, 1);
  t.match(
    await limits(),
    { from: 1, heldBy: { what: "reader some.pipeline/0", sequence: 1 } },
    "a reader without a snapshot",
  );
  committed = 7;
  t.match(await limits(), { from: 8, heldBy: { what: "reader some.pipeline/0", sequence: 8 } }, "a reader at 7");

  const marker = { sequence: 3, index: 1 };
  const batch = { stream: "alerts", task: "other.pipeline/0", messages: [], marker, expectedAt: 0 };
  await registerReader(registers, { stream: "telemetry", name: "other.pipeline/0", kind: "task" });
  const { storedAt } = await log.writeBatch(batch);
  await fill(5);
  committed = 16;
  t.match(await limits(), { from: storedAt, heldBy: { what: "marker of other.pipeline/0" } }, "a live marker stays");
  const renewed = await log.writeBatch({ ...batch, expectedAt: storedAt });
  t.match(await limits(), { from: 17, heldBy: { what: "reader some.pipeline/0" } }, "a renewed one lets go");
  t.equal(renewed.storedAt, 17);

  const { incarnation } = await log.info("alerts");
  await registerReader(registers, { stream: "alerts", name: "sink", kind: "position", incarnation, position: 4 });
  t.match(await limits(), { from: 5, heldBy: { what: "reader sink", sequence: 5 } }, "a reader that says its position");

  const stop = new AbortController();
  const running = runKeeper({ ...options, clock: { ...options.clock, sleep: async () => stop.abort() } }, stop.signal);
  await running;
  t.match(await log.info("alerts"), { firstSequence: 5, lastSequence: 17 }, "the keeper purges up to there");

  t.notOk(await forgetReader(registers, "alerts", "nobody"));
  t.ok(await forgetReader(registers, "alerts", "sink"));
  t.match(await limits(), { from: 17, heldBy: { what: "reader some.pipeline/0" } }, "a forgotten reader holds nothing");
  t.ok(await forgetReader(registers, "alerts", "some.pipeline/0"));
  t.ok(await forgetReader(registers, "telemetry", "other.pipeline/0"));
  t.match(await limits(), { from: 18, heldBy: undefined }, "nor do the markers of a forgotten task");
  await registerReader(registers, { stream: "alerts", name: "sink", kind: "position", incarnation, position: 16 });
  t.match(await limits(), { from: 17, heldBy: { what: "reader sink" } }, "it counts again once it reads again");
});

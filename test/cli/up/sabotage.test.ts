import t from "tap";
import { sabotaged, sabotageOf } from "../../../src/cli/up/sabotage.js";
import { tickBody } from "../../kill/input.js";
import { pipelines } from "../../kill/topologies.js";
import { emptyLog } from "../../support/log.js";

t.test("a planted fault is asked for by name, and there is none otherwise", async (t) => {
  t.equal(sabotageOf({}), undefined);
  t.equal(sabotageOf({ MILLRACE_SABOTAGE: "skip-fence" }), "skip-fence");
  t.throws(() => sabotageOf({ MILLRACE_SABOTAGE: "rm" }), { code: "MR_OPTION_INVALID" });
});

t.test("each fault does what its name says", async (t) => {
  const connection = await emptyLog(t);
  const means = { connection, pipelines, heedLoss: true };
  t.equal(sabotaged(undefined, means), means, "none: nothing changes");
  const messages = [{ subject: "alerts.0.mine", data: Buffer.from("{}") }];
  const batch = (task: string) => ({
    stream: "alerts",
    task,
    messages,
    marker: { sequence: 1, index: 1 },
    expectedAt: 0,
  });

  const unfenced = sabotaged("skip-fence", means);
  t.notOk(unfenced.heedLoss, "a lost lease is not heeded");
  await connection.log.writeBatch(batch("fence"));
  const stale = { ...batch("fence"), marker: { sequence: 2, index: 1 } };
  await t.rejects(connection.log.writeBatch(stale), { code: "MR_LOG_CONFLICT" }, "a former owner is refused");
  await unfenced.connection.log.writeBatch(stale);
  t.pass("but not without the fence");
  await connection.registers.set("pointer", Buffer.from("new"), 0);
  t.ok(await unfenced.connection.registers.set("pointer", Buffer.from("old"), 0), "nor at the pointer");

  const early = sabotaged("ack-first", means);
  const before = await connection.log.info("alerts");
  await early.connection.log.writeBatch(batch("early"));
  t.equal((await connection.log.info("alerts")).lastSequence, before.lastSequence, "acknowledged and not in the log");

  const [pipeline] = sabotaged("forget-watermark", means).pipelines;
  const context = {
    task: "kill.intake/0",
    partition: 0,
    partitions: 1,
    inference: { run: async () => new Float32Array() },
  };
  const program = pipeline?.create(context);
  program?.apply(
    { sequence: 1, subject: "telemetry.0._tick.kill", data: tickBody(1_000_000), header: () => undefined },
    undefined,
    () => undefined,
  );
  t.equal(program?.watermarkMs(), 999_500);
  const restored = pipeline?.create(context);
  restored?.load(program?.save() ?? new Uint8Array());
  t.equal(restored?.watermarkMs(), undefined, "time is not restored");
});

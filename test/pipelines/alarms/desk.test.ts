import t from "tap";
import { type Alarm, type LogReader, SECOND_MS } from "../../../src/core/index.js";
import { desk } from "../../../src/pipelines/alarms/desk.js";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { alertOf, commandOf, livesOf, START_MS } from "../../operators/alerts/support.js";
import { startNats } from "../../support/nats.js";
import { runProgram } from "../../support/program-runner.js";

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

t.test("the log brings alerts, commands and outcomes together in one order, and nothing else", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  for (const spec of streamSpecs(2, 100_000_000)) await log.ensureStream(spec);
  for (const spec of streamSpecs(2, 100_000_000)) await log.ensureStream(spec); // the same again agrees
  const reader = await log.read({ stream: "desk", subjects: ["desk.0.>"], fromSequence: 1 });
  t.teardown(() => reader.close());
  const runner = runProgram({ pipeline: desk });
  const sendOn = async (count: number): Promise<void> => {
    for (const { subject, data } of await take(reader, count)) await runner.send({ subject, data });
  };
  const tick = (t: number) => log.publish({ subject: "desk.0._tick.live", data: json({ source: "live", t }) });

  await tick(START_MS);
  await sendOn(1);
  // As a task writes them: a batch with its marker, which is nothing the desk reads.
  const messages = [0, 1].map((p) => ({
    subject: `alerts.${p}.sensor`,
    data: json(alertOf({ fingerprint: `f${p}` })),
  }));
  await log.writeBatch({ stream: "alerts", task: "t/0", messages, marker: { sequence: 1, index: 1 }, expectedAt: 0 });
  await sendOn(2);
  for (const by of ["ana", "ben"]) {
    const command = commandOf("ack", { by, target: "f0" });
    await log.publish({ subject: `commands.${command.id}`, data: json(command) });
  }
  await log.publish({ subject: "notify.ops.request", data: json({ kind: "notice" }) });
  await log.publish({ subject: "notify.ops.outcome", data: json({ kind: "notice-outcome", key: "k" }) });
  await log.publish({ subject: "commands.broken", data: Buffer.from("no") });
  await sendOn(4);
  await tick(START_MS + 10 * SECOND_MS);
  await sendOn(1);

  const alarms = runner.records("alarms").filter((record): record is Alarm => "fingerprint" in record);
  t.same(livesOf(alarms), [
    ...["raise -> unacknowledged", "raise -> unacknowledged"],
    ...["ack -> acknowledged", "ack -> acknowledged refused"],
  ]);
  t.same(
    new Set(
      alarms
        .at(-1)
        ?.trail.slice(1)
        .map(({ by }) => by),
    ),
    new Set(["ana", "ben"]),
  );
  t.match(runner.records("dead"), [{ reason: "the command is not JSON" }]);
  t.match(runner.records("alarms").at(-1), { schema: "millrace.alarm-metrics/1", alarms: 2, unacknowledged: 1 });
  t.same(runner.records("notify"), [], "with the configuration that ships, nobody but the wall is told");
  t.match(runner.program.counters(), { received: 6, accepted: 5, deadLettered: 1, duplicates: 0 });
});

async function take(reader: LogReader, count: number) {
  const found = [];
  while (found.length < count) found.push(...(await reader.next(count - found.length)));
  return found;
}

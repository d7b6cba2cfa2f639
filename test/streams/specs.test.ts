import t from "tap";
import { decodeToken, encodeToken, type LogReader, partitionOf } from "../../src/core/index.js";
import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { seededRandom } from "../support/random.js";
import { bytes } from "../support/text.js";

async function take(reader: LogReader, count: number) {
  const found = [];
  while (found.length < count) found.push(...(await reader.next(count - found.length)));
  return found;
}

t.test("input streams partition what comes through `in.`, with the function of core, and nothing else", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  const partitions = 7;
  for (const spec of streamSpecs(partitions, 100_000_000)) await log.ensureStream(spec);

  await t.test("500 random names, escapes included", async (t) => {
    const seed = 20261120;
    t.comment(`seed ${seed}`);
    const next = seededRandom(seed);
    const alphabet = "abcXYZ019-_. /%äß本🚚#>*";
    const name = () =>
      Array.from({ length: 1 + Math.floor(next() * 12) }, () => [...alphabet][Math.floor(next() * 23)]).join("");
    const names = Array.from({ length: 500 }, () => [name(), name()] as const);
    for (const stream of ["telemetry", "github"] as const) {
      const reader = await log.read({ stream, subjects: [`${stream}.*.*.*.*`], fromSequence: 1 });
      const published = names.map(([a, b]) =>
        log.publish({ subject: `in.${stream}.${encodeToken(a)}.${encodeToken(b)}.g`, data: bytes("x") }),
      );
      await Promise.all(published);
      const found = await take(reader, names.length);
      found.forEach(({ subject }, i) => {
        const [, partition, a = "", b = ""] = subject.split(".");
        const same = Number(partition) === partitionOf([a, b], partitions);
        if (!same || decodeToken(a) !== names[i]?.[0]) t.fail(`${names[i]} went to ${subject}`);
      });
      t.equal(new Set(found.map(({ subject }) => subject.split(".")[1])).size, partitions, "every partition is used");
      await reader.close();
    }
  });

  await t.test("ticks, control messages and packs stay where they are sent", async (t) => {
    const direct = ["telemetry.3._tick.live", "telemetry.3._ctl.rules.x", "telemetry.6.pack", "github.2._tick.sample"];
    for (const subject of direct) {
      const stream = subject.split(".")[0] ?? "";
      const sequence = await log.publish({ subject, data: bytes("x") });
      t.equal((await log.last(stream, subject))?.sequence, sequence, subject);
    }
    t.same([...(await log.countSubjects("telemetry", "telemetry.*._tick.*"))], [["telemetry.3._tick.live", 1]]);
    await t.rejects(log.publish({ subject: "telemetry.0.site.equipment.group", data: bytes("x") }), {
      code: "MR_LOG_UNAVAILABLE",
    });
  });

  await t.test("what they may take together is the budget", async (t) => {
    const total = streamSpecs(4, 1_000_000).reduce((sum, { maxBytes }) => sum + maxBytes, 0);
    t.equal(total, 1_000_000);
  });
});

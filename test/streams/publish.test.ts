import { randomBytes } from "node:crypto";
import t from "tap";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { bytes, text } from "../support/text.js";

t.test("publishing and looking up", async (t) => {
  const server = await startNats({ maxPayloadMb: 1 });
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test", timeoutMs: 500 });
  t.teardown(close);
  await log.ensureStream({ name: "s", subjects: ["s.>"], maxBytes: 3_000_000 });

  await t.test("resolves with the sequence, keeps headers and bytes", async (t) => {
    const data = Uint8Array.from([0, 255, 10, 13]);
    t.equal(
      await log.publish({ subject: "s.a", data, headers: { "Millrace-Door": "http", "X-GitHub-Event": "push" } }),
      1,
    );
    const message = await log.last("s", "s.a");
    t.same([...(message?.data ?? [])], [...data]);
    t.equal(message?.header("Millrace-Door"), "http");
    t.equal(message?.header("X-GitHub-Event"), "push");
    t.equal(message?.header("Absent"), undefined);
    t.equal(await log.last("s", "s.none"), undefined);
    t.equal(text((await log.last("s", "s.a"))?.data.slice(2) ?? bytes("")), "\n\r");
  });

  await t.test("counts per subject", async (t) => {
    await Promise.all(["s.b", "s.b", "s.c.d"].map((subject) => log.publish({ subject, data: bytes("x") })));
    t.same(Object.fromEntries(await log.countSubjects("s", "s.>")), { "s.a": 1, "s.b": 2, "s.c.d": 1 });
    t.same([...(await log.countSubjects("s", "nothing.>"))], []);
  });

  await t.test("refusals: no stream, too large, full, away", async (t) => {
    await t.rejects(log.publish({ subject: "nobody.x", data: bytes("x") }), { code: "MR_LOG_UNAVAILABLE" });
    const tooLarge = new Uint8Array(25 * 1_048_576 + 1);
    await t.rejects(log.publish({ subject: "s.a", data: tooLarge }), { code: "MR_TOO_LARGE" });
    const before = (await log.info("s")).lastSequence;
    const large = () => log.publish({ subject: "s.a", data: randomBytes(900_000) }); // cannot be compressed
    await t.rejects(Promise.all([large(), large(), large(), large()]), { code: "MR_LOG_FULL" });
    t.equal((await log.info("s")).lastSequence, before + 3);
    await server.kill();
    await t.rejects(log.publish({ subject: "s.a", data: bytes("x") }), { code: "MR_LOG_UNAVAILABLE" });
  });
});

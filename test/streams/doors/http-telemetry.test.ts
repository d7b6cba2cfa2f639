import fc from "fast-check";
import t from "tap";
import { decodeReadings, decodeToken } from "../../../src/core/index.js";
import { connectLog, streamSpecs, telemetryDoor } from "../../../src/streams/index.js";
import { httpRequest } from "../../support/http.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";
import { bytes, text } from "../../support/text.js";

const at = (equipment: string, n: number, extra: object = {}) => ({
  site: "quarry.1",
  equipment,
  group: "engine",
  ts: 1_700_000_000_000 + n,
  values: { n },
  ...extra,
});

t.test("telemetry door", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test", timeoutMs: 500 });
  t.teardown(close);
  for (const spec of streamSpecs(4)) await log.ensureStream(spec);
  const door = telemetryDoor({ log, localKey: "key" });
  const post = async (body: Uint8Array, headers: Record<string, string> = {}) => {
    const { status, body: reply } = await door.handle(httpRequest(door.path, body, headers));
    return { status, ...(JSON.parse(String(reply)) as { accepted: number; rejected: number }) };
  };
  let read = 0;
  const news = async () => {
    const all = await readAll(log, "telemetry", "telemetry.*.*.*.*");
    const found = all.slice(read);
    read = all.length;
    return found;
  };

  await t.test("one reading: its own bytes, filed under its names", async (t) => {
    const body = bytes(` ${JSON.stringify(at("truck-7", 1), null, 1)}\n`);
    t.same(await post(body), { status: 202, accepted: 1, rejected: 0 });
    const [message] = await news();
    t.match(message?.subject, /^telemetry\.[0-3]\.quarry%2E1\.truck-7\.engine$/);
    t.equal(Buffer.compare(message?.data ?? bytes(""), body), 0);
    t.same([message?.header("Millrace-Door"), message?.header("Millrace-Source")], ["http", "live"]);
    t.match([door.method, door.path, door.access, door.maxBodyBytes], ["POST", "/api/v1/telemetry", "key", 8_388_608]);
    await post(body, { "x-millrace-source": "replay-1", authorization: "Bearer key" });
    t.equal((await news())[0]?.header("Millrace-Source"), "replay-1");
  });

  await t.test("many: one message a group, order kept; rejected ones alone under `-`", async (t) => {
    const array = [at("a", 1), 5, at("b", 2), at("a", 3), { site: "x" }, at("a", 4)];
    t.same(await post(bytes(JSON.stringify(array))), { status: 202, accepted: 4, rejected: 2 });
    const messages = await news();
    const bySubject = messages.map(({ subject, data }) => [subject.split(".").slice(2).join("."), text(data)]);
    const lines = (...readings: object[]) => readings.map((reading) => JSON.stringify(reading)).join("\n");
    t.same(
      bySubject.sort(),
      [
        ["-.-.-", "5"],
        ["-.-.-", '{"site":"x"}'],
        ["quarry%2E1.a.engine", lines(at("a", 1), at("a", 3), at("a", 4))],
        ["quarry%2E1.b.engine", lines(at("b", 2))],
      ].sort(),
    );
  });

  await t.test("packs hold at most 256 KB, one larger reading travels alone", async (t) => {
    const extra = { note: "x".repeat(100_000) };
    const huge = { note: "y".repeat(1_000_000) };
    const readings = [...Array.from({ length: 7 }, (_, n) => at("a", n, extra)), at("a", 7, huge), at("a", 8)];
    t.match(await post(bytes(readings.map((reading) => JSON.stringify(reading)).join("\n"))), { accepted: 9 });
    const messages = await news();
    t.same(
      messages.map(({ data }) => decodeReadings(data).length),
      [2, 2, 2, 1, 1, 1],
    );
    const order = messages
      .flatMap(({ data }) => decodeReadings(data))
      .map((item) => item.ok && item.reading.values["n"]);
    t.same(order, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  await t.test("what the door counts is what the task finds", async (t) => {
    const leaf = fc.oneof(
      fc
        .record({ equipment: fc.string({ minLength: 1, maxLength: 6 }), n: fc.nat(9) })
        .map(({ equipment, n }) => at(equipment, n)),
      fc.jsonValue(),
    );
    const property = fc.asyncProperty(
      fc.array(leaf, { minLength: 1, maxLength: 30 }),
      fc.boolean(),
      async (items, asLines) => {
        const body = asLines ? items.map((item) => JSON.stringify(item)).join("\n") : JSON.stringify(items);
        const { accepted, rejected } = await post(bytes(body));
        const found = (await news()).flatMap(({ subject, data }) => {
          const [, , site = "", equipment = "", group = ""] = subject.split(".");
          const topic =
            site === "-"
              ? undefined
              : { site: decodeToken(site), equipment: decodeToken(equipment), group: decodeToken(group) };
          return decodeReadings(data, topic);
        });
        const ok = found.filter((item) => item.ok).length;
        if (ok !== accepted || found.length - ok !== rejected)
          throw new Error(`${body}: ${accepted}+${rejected}, found ${ok} of ${found.length}`);
      },
    );
    await t.resolves(fc.assert(property, { seed: 3, numRuns: 60 }));
  });

  await t.test("nothing readable is one rejected event; full and away are errors", async (t) => {
    for (const body of ["", "[]", "{broken"])
      t.same(await post(bytes(body)), { status: 202, accepted: 0, rejected: 1 }, body);
    const spec = streamSpecs(4).find(({ name }) => name === "telemetry");
    if (spec === undefined) throw new Error("no stream");
    await log.ensureStream({ ...spec, maxBytes: (await log.info("telemetry")).bytes });
    await t.rejects(post(bytes(JSON.stringify(at("a", 1)))), { code: "MR_LOG_FULL" });
    await server.kill();
    await t.rejects(post(bytes(JSON.stringify([at("a", 1), at("b", 2)]))), { code: "MR_LOG_UNAVAILABLE" });
  });
});

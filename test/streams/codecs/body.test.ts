import { randomBytes } from "node:crypto";
import t from "tap";
import { DAY_MS } from "../../../src/core/index.js";
import { openLink } from "../../../src/streams/connection.js";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";

const MB = 1024 * 1024;

t.test("a body comes back as it was, however large", async (t) => {
  const server = await startNats();
  const { log, objects, space, close } = await connectLog({ url: server.url, name: "test" });
  const link = await openLink({ url: server.url, name: "raw" });
  t.teardown(async () => {
    await Promise.all([close(), link.nc.close()]);
    await server.stop();
  });
  for (const spec of streamSpecs(1)) await log.ensureStream(spec);
  const stored = async (sequence: number) => {
    const found = await link.jsm.streams.getMessage("telemetry", { seq: sequence });
    return { bytes: found?.data.length, encoding: found?.header.get("Millrace-Encoding") };
  };
  const text = (bytes: number): Buffer => Buffer.from('{"a":"millrace"},'.repeat(bytes / 17));
  const table = [
    { what: "small", data: text(1_000), encoding: "" },
    { what: "a pack", data: text(250_000), encoding: "" },
    { what: "2 MB of text", data: text(2 * MB), encoding: "gzip" },
    { what: "3 MB that cannot be compressed", data: randomBytes(3 * MB), encoding: "" },
    { what: "12 MB that cannot be compressed", data: randomBytes(12 * MB), encoding: "object" },
    {
      what: "12 MB that can, a little",
      data: Buffer.concat([randomBytes(11 * MB), text(MB)]),
      encoding: "object+gzip",
    },
  ];
  for (const { what, data, encoding } of table) {
    const headers = { "Millrace-Door": "test" };
    const sequence = await log.publish({ subject: "in.telemetry.s.e.g", data, headers });
    t.equal((await stored(sequence)).encoding ?? "", encoding, `${what}: stored as ${encoding || "it is"}`);
    const found = (await readAll(log, "telemetry", "telemetry.*.*.*.*")).find(
      (message) => message.sequence === sequence,
    );
    t.ok(found !== undefined && Buffer.from(found.data).equals(data), `${what}: the same bytes`);
    t.equal(found?.header("Millrace-Door"), "test", `${what}: its headers`);
  }
  const tooLarge = log.publish({ subject: "in.telemetry.s.e.g", data: Buffer.alloc(25 * MB + 1) });
  await t.rejects(tooLarge, { code: "MR_TOO_LARGE", disposition: "refuse" });

  t.equal((await objects.list("body/")).length, 2);
  t.equal(await space.freeBodies(Date.now()), 0, "bodies of today stay");
  t.equal(await space.freeBodies(Date.now() + 2 * DAY_MS), 2, "those of days before do not");
});

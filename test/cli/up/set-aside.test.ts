import t from "tap";
import { setAside } from "../../../src/cli/up/set-aside.js";
import { readAll } from "../../support/log.js";
import { memoryLog } from "../../support/memory-log.js";

t.test("a record no table takes is a dead letter of its domain, with its place and its bytes", async (t) => {
  const log = memoryLog();
  await log.ensureStream({ name: "dead", subjects: ["dead.>"], maxBytes: 1 << 20 });
  const row = { stream: "accepted", sequence: 7, index: 2, text: "ü".repeat(50_000) };
  t.equal(await setAside(log, { ...row, table: "github_events" }, "no such date"), "github");
  t.equal(await setAside(log, row, "no table"), "telemetry");
  const letters = (await readAll(log, "dead", "dead.sink")).map(({ data }) => JSON.parse(Buffer.from(data).toString()));
  t.match(letters, [
    {
      id: "sink/accepted/7/2",
      domain: "github",
      reason: "not stored in github_events: no such date",
      origin: { stream: "accepted", sequence: 7, index: 2 },
      bytesTotal: 100_000,
    },
    { domain: "telemetry", reason: "not stored in any table: no table" },
  ]);
  t.equal(Buffer.from(letters[0].bytesBase64, "base64").length, 64 * 1024, "as much as is kept");
});

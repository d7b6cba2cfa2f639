import t from "tap";
import { newestRecords } from "../../src/streams/newest.js";
import { memoryLog } from "../support/memory-log.js";

interface Line {
  readonly n: number;
}

t.test("newest first, several a message, backwards no further than needed", async (t) => {
  const log = memoryLog();
  await log.ensureStream({ name: "audit", subjects: ["audit.>"], maxBytes: 1 });
  const ask = (wanted: Partial<Parameters<typeof newestRecords<Line>>[1]> = {}) =>
    newestRecords<Line>(log, { stream: "audit", subject: "audit.a", limit: 3, ...wanted });
  t.same(await ask(), [], "an empty stream");
  for (let n = 0; n < 1_000; n += 2)
    await log.publish({ subject: "audit.a", data: Buffer.from(`{"n":${n}}\n{"n":${n + 1}}`) });
  await log.publish({ subject: "audit.b", data: Buffer.from('{"n":-1}') });
  const numbers = async (wanted: Parameters<typeof ask>[0]) => (await ask(wanted)).map(({ record }) => record.n);
  t.same(await numbers({}), [999, 998, 997]);
  t.same(await numbers({ isWanted: ({ n }) => n < 5 }), [4, 3, 2], "far back");
  t.same(await numbers({ isWanted: ({ n }) => n < 5, limit: 9 }), [4, 3, 2, 1, 0], "as many as there are");
  t.same(await numbers({ isTooOld: ({ n }) => n < 998 }), [999, 998]);
  t.same(await numbers({ isTooOld: ({ n }) => n < 2, limit: 2_000, isWanted: ({ n }) => n < 6 }), [5, 4, 3, 2]);
  t.equal((await ask({ limit: 1 }))[0]?.sequence, 500);
  log.truncate("audit", 499);
  t.same(await numbers({ limit: 9 }), [999, 998], "only what is still there");
});

import t from "tap";
import type { StreamSpec } from "../../src/core/index.js";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";

t.test("streams", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  const spec: StreamSpec = {
    name: "s",
    subjects: ["in.s.*", "s.>"],
    transform: { src: "in.s.*", dest: "s.{{partition(4,1)}}.{{wildcard(1)}}" },
    maxBytes: 1_000_000,
  };

  await t.test("created once: a random incarnation that stays", async (t) => {
    const info = await log.ensureStream(spec);
    t.match(info, { name: "s", incarnation: /^[0-9a-f]{16}$/, lastSequence: 0, messages: 0 });
    t.equal((await log.ensureStream(spec)).incarnation, info.incarnation);
    const reordered = { ...spec, subjects: [...spec.subjects].reverse() };
    t.equal((await log.ensureStream(reordered)).incarnation, info.incarnation, "the order of subjects means nothing");
  });

  await t.test("two starters at once agree", async (t) => {
    const other = await connectLog({ url: server.url, name: "other" });
    t.teardown(other.close);
    const race = { ...spec, name: "race", subjects: ["race.>"], transform: { src: "race.a", dest: "race.b" } };
    const infos = await Promise.all([log, other.log, log, other.log].map((each) => each.ensureStream(race)));
    t.equal(new Set(infos.map((info) => info.incarnation)).size, 1);
  });

  await t.test("another number of partitions is refused, another limit adopted", async (t) => {
    const transform = { src: "in.s.*", dest: "s.{{partition(5,1)}}.{{wildcard(1)}}" };
    await t.rejects(log.ensureStream({ ...spec, transform }), {
      code: "MR_STREAM_MISMATCH",
      message: /transform is .*partition\(4,1\).* expected .*partition\(5,1\)/,
    });
    await t.rejects(log.ensureStream({ ...spec, subjects: ["s.>"] }), {
      code: "MR_STREAM_MISMATCH",
      message: /subjects/,
    });
    const before = await log.info("s");
    t.equal((await log.ensureStream({ ...spec, maxBytes: 2_000_000 })).incarnation, before.incarnation);
  });

  await t.test("subjects of another stream, no room, no stream", async (t) => {
    await t.rejects(log.ensureStream({ name: "t", subjects: ["s.x"], maxBytes: 1 }), { code: "MR_STREAM_MISMATCH" });
    await t.rejects(log.ensureStream({ name: "t", subjects: ["t.>"], maxBytes: 1e15 }), { code: "MR_LOG_FULL" });
    await t.rejects(log.info("nobody"), { code: "MR_LOG_UNAVAILABLE" });
  });
});

import { decode } from "@msgpack/msgpack";
import t from "tap";
import { eventFrame, json, msgpack, sse } from "../../../src/ws/channels/encoding.js";
import { type Entry, readEntry } from "../../../src/ws/channels/entry.js";
import { Recent } from "../../../src/ws/channels/recent.js";

const entry = (offset: number, text: string) => readEntry(offset, "alerts.0.mine", Buffer.from(text)) as Entry;
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

t.test("one event in every encoding, and its frame made once", async (t) => {
  const one = entry(7, '{"a":"ü"}');
  const frame = { op: "event", channel: "alerts", offset: 7, prev: 5, data: { a: "ü" } };
  t.same(JSON.parse(json.event("alerts", "e", one, 5).toString()), frame);
  t.same(decode(msgpack.event("alerts", "e", one, 5)), frame);
  t.match(sse.event("alerts", "e", one, 5).toString(), /^id: e:7\nevent: event\ndata: \{"op":"event".*\n\n$/);
  const first = eventFrame(json, "alerts", "e", one, 5);
  t.equal(eventFrame(json, "alerts", "e", one, 5), first);
  t.not(eventFrame(json, "alerts", "e", one, 6), first);
  t.same(JSON.parse(eventFrame(json, "alerts", "e", one, 6).toString()), { ...frame, prev: 6 });
});

t.test("deeper than MessagePack is packed: null in its place, and nothing thrown", async (t) => {
  const frame = { op: "event", channel: "alerts", offset: 1, prev: 0 };
  t.same(decode(msgpack.event("alerts", "e", entry(1, nested(90)), 0)), { ...frame, data: JSON.parse(nested(90)) });
  for (const depth of [101, 20_000])
    t.same(decode(msgpack.event("alerts", "e", entry(1, nested(depth)), 0)), { ...frame, data: null });
  const state = [entry(1, '"a"'), entry(2, nested(101)), entry(3, '"b"')];
  t.same(decode(msgpack.state("alarms", "e", 3, state, true)), {
    op: "state",
    channel: "alarms",
    offset: 3,
    data: ["a", null, "b"],
    last: true,
  });
});

t.test("kept for those who come back as text alone, and whole again when asked", async (t) => {
  const recent = new Recent(0, 1_000);
  const [first, second] = [entry(1, '{"n":1}'), entry(2, '{"n":2}')];
  eventFrame(json, "alerts", "e", first, 0);
  recent.add(first);
  t.ok(first.memo, "in use still");
  recent.add(second);
  t.equal(first.memo, undefined);
  t.same(
    recent.after(0)?.map(({ value }) => value),
    [{ n: 1 }, { n: 2 }],
  );
  t.match(JSON.parse(eventFrame(json, "alerts", "e", first, 0).toString()), { offset: 1, data: { n: 1 } });
});

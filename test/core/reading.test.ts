import fc from "fast-check";
import t from "tap";
import { decodeReadings } from "../../src/core/index.js";

const TOPIC = { site: "minez", equipment: "truck-07", group: "status" };
const GOOD = { ...TOPIC, ts: 1_667_820_169_000, values: { fuelLph: 182.4 } };
const bytes = (body: unknown) => new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const one = (body: unknown, topic?: typeof TOPIC) => {
  const items = decodeReadings(bytes(body), topic);
  if (items.length !== 1 || items[0] === undefined) throw new Error(`${items.length} items`);
  return items[0];
};

t.test("a reading, filled in from its topic", async (t) => {
  const { site, equipment, group, ...rest } = GOOD;
  const expected = { source: "live", site, equipment, group, tsMs: GOOD.ts, values: GOOD.values, labels: {} };
  t.match(one(GOOD), { ok: true, reading: expected });
  t.match(one({ id: "a", unknown: [1], ...rest }, TOPIC), { ok: true, id: "a", reading: expected });
  t.match(one({ ...GOOD, ts: "2022-11-07T11:22:49Z", source: "sample" }), {
    reading: { tsMs: GOOD.ts, source: "sample" },
  });
  t.match(one({ ...rest, labels: { status: "" }, values: {} }, TOPIC), { ok: true });
});

t.test("edges of every rule", async (t) => {
  const many = (count: number, value: unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`v${i}`, value]));
  const table: readonly (readonly [object, boolean])[] = [
    [{ site: "x".repeat(128) }, true],
    [{ site: "x".repeat(129) }, false],
    [{ site: "" }, false],
    [{ site: null }, false],
    [{ group: 7 }, false],
    [{ equipment: "half \ud800" }, false],
    [{ equipment: "whole 🚚" }, true],
    [{ id: "" }, false],
    [{ id: "x".repeat(128) }, true],
    [{ id: "x".repeat(129) }, false],
    [{ id: 1 }, false],
    [{ ts: 946_684_800_000 }, true],
    [{ ts: 946_684_799_999 }, false],
    [{ ts: 1.5 }, false],
    [{ ts: "1667820169000" }, false],
    [{ ts: "2022-11-07T11:22:49" }, false],
    [{ ts: "2022-11-07T11:22:49+14:00" }, true],
    [{ ts: undefined }, false],
    [{ values: many(64, 1) }, true],
    [{ values: many(65, 1) }, false],
    [{ values: { a: "1" } }, false],
    [{ values: { a: null } }, false],
    [{ values: [] }, false],
    [{ values: null }, false],
    [{ values: {} }, false],
    [{ labels: many(32, "x") }, true],
    [{ labels: many(33, "x") }, false],
    [{ labels: { a: "x".repeat(256) } }, true],
    [{ labels: { a: "x".repeat(257) } }, false],
    [{ labels: { a: 1 } }, false],
    [{ source: "replay-2022_a" }, true],
    [{ source: "x".repeat(64) }, true],
    [{ source: "x".repeat(65) }, false],
    [{ source: "a.b" }, false],
    [{ source: "" }, false],
  ];
  for (const [change, ok] of table) t.equal(one({ ...GOOD, ...change }).ok, ok, JSON.stringify(change).slice(0, 60));
  t.equal(
    one('{"site":"a","equipment":"b","group":"c","ts":1667820169000,"values":{"a":1e999}}').ok,
    false,
    "not finite",
  );
  t.equal(one({ ...GOOD, site: "other" }, TOPIC).ok, false, "differs from the topic");
  t.equal(one({ ts: GOOD.ts, values: { a: 1 } }).ok, false, "no topic to fill from");
});

t.test("bodies: single, array, NDJSON, and what is none", async (t) => {
  const oks = (body: unknown) => decodeReadings(bytes(body)).map(({ ok }) => ok);
  const line = JSON.stringify(GOOD);
  t.same(oks([GOOD, { ...GOOD, ts: 1 }, 5, [GOOD]]), [true, false, false, false]);
  t.same(oks(`${line}\n\n  \r\n${line}\r\n{broken\n[${line},7]\n`), [true, true, false, true, false]);
  t.same(oks(JSON.stringify(GOOD, null, 2)), [true], "pretty-printed");
  const nothing = ["", " \n ", "[]", "null", '"text"', "{broken", "{\n broken\n}", "\ufeff"];
  for (const body of nothing) t.same(oks(body), [false], JSON.stringify(body));
  const notText = Uint8Array.from([0x7b, 0xff, 0x0a, 0x7d]);
  t.match(decodeReadings(notText), [{ ok: false, reason: "not UTF-8", bytes: notText }]);
  const mixed = Uint8Array.from([...bytes(`${line}\n`), 0xff, 0x0a, ...bytes(line)]);
  t.same(
    decodeReadings(mixed).map(({ ok }) => ok),
    [true, false, true],
    "bad bytes spoil their own line",
  );
  t.same(oks(`[${"0,".repeat(65_536)}0]`), [false], "too many are one");
  t.same(oks(`[${"[".repeat(200_000)}${"]".repeat(200_000)}]`), [false], "too deep is one");
  t.same(oks(`[{"a":"${"[".repeat(500)}\\"["}]`), [false]);
});

t.test("ids: the sender's, or a hash of what it says; of the bytes when malformed", async (t) => {
  const { id } = one(GOOD);
  t.match(id, /^h-[0-9a-f]{32}$/);
  t.equal(one({ extra: 1, ...GOOD, ts: "2022-11-07T11:22:49.000Z" }).id, id, "order, form of time, extras: the same");
  t.not(one({ ...GOOD, values: { fuelLph: 182.5 } }).id, id);
  const [bad, again, other] = decodeReadings(bytes('{"id":"a"}\n{"id":"a"}\n{"id":"a" }'));
  t.equal(bad?.id, again?.id);
  t.not(bad?.id, other?.id);
  t.match(bad?.id, /^h-/, "never the claimed one");
});

t.test("decoding an item's own bytes gives the same item", async (t) => {
  const leaf = fc.oneof(fc.constant(GOOD), fc.constant({ ...GOOD, id: "x" }), fc.jsonValue(), fc.constant([GOOD]));
  const property = fc.property(fc.array(leaf, { minLength: 1 }), fc.boolean(), (items, asLines) => {
    const body = asLines ? items.map((item) => JSON.stringify(item)).join("\n") : JSON.stringify(items);
    for (const item of decodeReadings(bytes(body))) {
      const own = item.ok ? item.encode() : item.bytes;
      const again = decodeReadings(own);
      const same = again.length === 1 && again[0]?.ok === item.ok && again[0].id === (item.ok ? item.id : again[0].id);
      if (!same) throw new Error(`${text(own)} -> ${JSON.stringify(again)}`);
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 7, numRuns: 300 }));
});

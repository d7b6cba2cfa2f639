import t from "tap";
import * as format from "../../dashboards/wall/format.js";

const NOW = Date.parse("2026-11-20T11:00:00Z");

t.test("numbers for people", async (t) => {
  t.same([0, 999, 12_037].map(format.count), ["0", "999", "12,037"]);
  const numbers = [0, 0.0123456, 4.5678, 218.4, -3.14659, 16_204.4, 0.00001, Number.NaN].map(format.number);
  t.same(numbers, ["0", "0.0123", "4.57", "218", "-3.15", "16,204", "1.0e-5", "–"]);
  const percents = [0, 0.0634, 0.42, 1, -0.031, -0.0001].map((ratio) => format.percent(ratio).replace("\u202f", " "));
  t.same(percents, ["0 %", "6.3 %", "42 %", "100 %", "−3.1 %", "0.0 %"]);
  t.equal(format.withUnit(4.5678, "L/t").replace("\u202f", " "), "4.57 L/t");
  t.equal(format.withUnit(7, ""), "7");
});

t.test("ages", async (t) => {
  const ages = [-5, 900, 2_400, 89_000, 91_000, 3_600_000, 7_200_000, 5 * 86_400_000].map(format.age);
  t.same(ages, ["now", "now", "2 s", "89 s", "2 min", "60 min", "2 h", "5 d"]);
});

t.test("times are UTC, the year only when it is another", async (t) => {
  const ms = Date.parse("2026-11-07T14:03:22Z");
  t.equal(format.clock(ms), "14:03:22");
  t.equal(format.dateTime(ms, NOW), "7 Nov 14:03");
  t.equal(format.date(Date.parse("2022-11-07T00:00:00Z"), NOW), "7 Nov 2022");
  t.equal(format.span(ms, ms + 3_600_000, NOW), "7 Nov 14:03 – 15:03");
  t.equal(format.span(ms, ms + 86_400_000, NOW), "7 Nov 14:03 – 8 Nov 14:03");
});

t.test("names of the log: words and a unit", async (t) => {
  const table = [
    ["payloadT", "payload", "t"],
    ["fuelLph", "fuel", "L/h"],
    ["waitMeanH", "time at shovel and dump", "h"],
    ["approvalHoursP50", "approval to merge, median", "h"],
    ["queueHoursP95", "queue P95", "h"],
    ["queueShare01", "queue share", ""],
    ["speedFullKmh", "speed full", "km/h"],
    ["opened", "pull requests opened", ""],
    ["T", "t", ""],
    ["some-value_name", "some value name", ""],
  ] as const;
  for (const [name, words, unit] of table) t.same(format.measure(name), { name: words, unit }, name);
});

t.test("keys without what the panel says already", async (t) => {
  t.equal(format.keyText("mine", "minez/truck-07"), "truck-07");
  t.equal(format.keyText("mine", "minez"), "minez");
  t.equal(format.keyText("sensor", "nab/pump-1/flow/value"), "pump-1");
  t.equal(format.keyText("sensor", "nab/pump-1/flow/fuelLph"), "pump-1 fuelLph");
  t.equal(format.keyText("sensor", "nab/a/b/c/value"), "nab/a/b/c/value");
  t.equal(format.keyText("github", "rust-lang/rust"), "rust-lang/rust");
});

t.test("bytes become text that cannot play tricks", async (t) => {
  const base64 = (text: string | Uint8Array) => Buffer.from(text).toString("base64");
  t.equal(format.printable(base64('{"a":1}')), '{"a":1}');
  t.equal(format.printable(base64("a\u0000b\nc\u202ed\u007f")), "a·b·c·d·");
  t.equal(format.printable(base64(Uint8Array.from([0xff, 0x41]))), "·A");
  t.equal(format.printable("not base64 !"), "");
});

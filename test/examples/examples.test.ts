import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { busiestHosts } from "../../examples/busiest-hosts.js";
import { fullLoads } from "../../examples/full-loads.js";
import { hotSpells } from "../../examples/hot-spells.js";
import { limits } from "../../examples/limits.js";
import { ordersPerMinute } from "../../examples/orders-per-minute.js";
import { unpaidOrders } from "../../examples/unpaid-orders.js";
import { visits } from "../../examples/visits.js";
import { lint, TestKit, type Topology } from "../../src/operators/engine/index.js";

type Step = { readonly send: object } | { readonly tickMs: number } | { readonly control: object };

/** Feeds JSON events and ticks to an example, with a cut before each, and returns the records it wrote. */
function play(topology: Topology, steps: readonly Step[]): readonly unknown[] {
  const kit = new TestKit(topology);
  kit.cutAlways = true;
  for (const step of steps) {
    if ("send" in step) kit.message(JSON.stringify(step.send));
    else if ("tickMs" in step) kit.watermark(step.tickMs);
    else kit.control("limit", step.control);
  }
  const outputs = kit.take();
  return outputs.map(({ record }) => record);
}

t.test("no example has anything for lint to say", async (t) => {
  for (const example of [busiestHosts, fullLoads, hotSpells, limits, ordersPerMinute, unpaidOrders, visits])
    t.same(lint(example, { partitionedBy: "key" }), [], example.name);
});

t.test("orders per minute: a row a shop and minute, corrected when an order comes late", async (t) => {
  const order = (shop: string, amount: number, at: number) => ({
    send: { id: at, shop, amount, at, note: "not read" },
  });
  const rows = play(ordersPerMinute, [
    order("b", 5, 1_000),
    order("a", 10, 2_000),
    order("a", 20, 3_000),
    { tickMs: 60_000 },
    order("a", 30, 4_000),
    { tickMs: 90_000 },
    order("a", 1, 5_000),
  ]);
  t.match(rows, [
    { kind: "row", key: "a", startMs: 0, endMs: 60_000, result: "final", orders: 2, turnover: 30, average: 15 },
    { key: "b", orders: 1, turnover: 5 },
    { key: "a", result: "update", revision: 1, orders: 3, turnover: 60 },
    { kind: "late", key: "a", lateByMs: 30_000 },
  ]);
});

t.test("visits: clicks without a long pause, in any order", async (t) => {
  const click = (visitor: string, page: string, at: number, dwellMs: number) => ({
    send: { visitor, page, at, dwellMs },
  });
  const rows = play(visits, [
    click("v", "/buy", 600_000, 9),
    click("v", "/", 0, 5),
    click("w", "/", 0, 5),
    click("v", "/", 9_000_000, 1),
    { tickMs: 20_000_000 },
  ]);
  t.same(rows, [{ kind: "row", key: "v", pages: 2, entry: "/", exit: "/buy", favourite: "/buy" }]);
});

t.test("unpaid orders: said an hour after the order, unless it was paid", async (t) => {
  const send = (order: string, what: string, at: number) => ({ send: { order, what, at } });
  const rows = play(unpaidOrders, [
    send("1", "ordered", 0),
    send("2", "ordered", 1_000),
    send("1", "paid", 3_600_000),
    { tickMs: 3_600_000 },
    { tickMs: 4_000_000 },
  ]);
  t.same(rows, [{ kind: "row", order: "2", orderedAt: 1_000 }]);
});

t.test("limits: a changed limit holds from its place in the log on", async (t) => {
  const send = (celsius: number, at: number) => ({ send: { room: "r", celsius, at } });
  const rows = play(limits, [
    send(25, 1),
    { control: { room: "r", celsius: 20 } },
    send(25, 2),
    send(26, 3),
    { control: { room: "r" } },
    send(25, 4),
  ]);
  t.same(
    rows,
    [false, true, false].map((tooHot, i) => ({ kind: "row", room: "r", at: [1, 2, 4][i], tooHot })),
  );
});

t.test("busiest hosts: every ten seconds, over five minutes", async (t) => {
  const send = (host: string, latencyMs: number, at: number) => ({ send: { service: "s", host, latencyMs, at } });
  const rows = play(busiestHosts, [
    send("x", 100, 0),
    send("y", 200, 5_000),
    send("y", 300, 12_000),
    { tickMs: 20_000 },
  ]);
  t.match(rows, [
    { endMs: 10_000, requests: 2, hosts: ["x", "y"] },
    { endMs: 20_000, requests: 3, hosts: ["y", "x"] },
  ]);
});

t.test("hot spells: a window open while a predicate holds, closed by a cool reading or by silence", async (t) => {
  const send = (machine: string, celsius: number, at: number) => ({ send: { machine, celsius, at } });
  const rows = play(hotSpells, [
    send("mill", 80, 0),
    send("mill", 95, 60_000),
    send("mill", 99, 120_000),
    send("mill", 70, 180_000),
    send("mill", 92, 240_000),
    { tickMs: 240_000 + 3_600_000 },
    send("mill", 60, 8_000_000),
  ]);
  t.same(rows, [
    { kind: "row", machine: "mill", sinceMs: 60_000, lastMs: 180_000, highest: 99 },
    { kind: "row", machine: "mill", sinceMs: 240_000, lastMs: 240_000, highest: 92 },
  ]);
});

t.test("full loads: a trigger of one's own, by weight or by time", async (t) => {
  const send = (parcel: string, town: string, kg: number, at: number) => ({ send: { parcel, town, kg, at } });
  const rows = play(fullLoads, [
    send("1", "Ulm", 600, 1_000),
    send("2", "Bonn", 10, 2_000),
    send("3", "Ulm", 400, 3_000),
    send("4", "Ulm", 5, 4_000),
    { tickMs: 86_400_000 + 3_999 },
    send("5", "Ulm", 5, 90_000_000),
    { tickMs: 86_400_000 + 4_000 },
  ]);
  t.same(rows, [
    { kind: "row", town: "Ulm", parcels: ["1", "3"], kg: 1_000 },
    { kind: "row", town: "Bonn", parcels: ["2"], kg: 10 },
    { kind: "row", town: "Ulm", parcels: ["4", "5"], kg: 10 },
  ]);
});

t.test("a useful pipeline takes twenty lines", async (t) => {
  const text = readFileSync(join(import.meta.dirname, "..", "..", "..", "examples", "orders-per-minute.ts"), "utf8");
  const code = text
    .replace(/^import .*?;$/ms, "")
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^\s*(?:\/\*\*|\*|\/\/)/.test(line));
  t.ok(code.length <= 20, `${code.length} lines`);
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { generate } from "../../bench/nexmark/generator.js";
import { nexmarkMessages } from "../../bench/nexmark/messages.js";
import { duckdbOracle } from "../../bench/nexmark/oracle.js";
import { QUERIES } from "../../bench/nexmark/queries.js";
import { answer, type Duckdb, loadDuckdb, writeNexmark } from "./support/nexmark.js";

t.setTimeout(180_000);
const duckdb = await loadDuckdb();
const skip = duckdb === undefined ? "@duckdb/node-api is not installed" : false;
const directory = mkdtempSync(join(tmpdir(), "millrace-nexmark-"));
t.teardown(() => rmSync(directory, { recursive: true }));

t.test("the generator is seeded: same seed, same bytes; 1 person, 3 auctions, 46 bids of 50", async (t) => {
  const [a, b] = [nexmarkMessages({ events: 500, seed: 1 }), nexmarkMessages({ events: 500, seed: 1 })];
  t.same(
    a.messages.map(({ data }) => data),
    b.messages.map(({ data }) => data),
  );
  const types = [...generate({ events: 500, seed: 2 })].flatMap((line) =>
    line.kind === "event" ? [(JSON.parse(line.json) as { event_type: number }).event_type] : [],
  );
  t.same(
    [0, 1, 2].map((type) => types.filter((one) => one === type).length),
    [10, 30, 460],
  );
});

t.test("every query equals DuckDB over the same file, with cuts at random places", { skip }, async (t) => {
  const options = { events: 40_000, seed: 7, ratePerS: 1_000 };
  const oracle = await duckdbOracle(duckdb as Duckdb, writeNexmark(join(directory, "in-order.ndjson"), options));
  const { messages } = nexmarkMessages(options);
  t.same(
    Object.keys(QUERIES).sort(),
    [0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22].map((n) => `q${n}`).sort(),
  );
  for (const query of Object.keys(QUERIES)) {
    const { text, late, dead } = answer(query, messages, 70);
    t.same({ text, late, dead }, { text: await oracle.answer(query), late: 0, dead: 0 }, query);
  }
});

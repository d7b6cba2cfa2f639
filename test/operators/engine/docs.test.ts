import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import { pipeline, testSource } from "../../../src/operators/engine/index.js";
import { EVERY_AGGREGATE, EVERY_WINDOW } from "./support/everything.js";

const ROOT = join(import.meta.dirname, "..", "..", "..", "..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

t.test("docs/api.md is what the docstrings say", async (t) => {
  const { apiPage } = (await import(pathToFileURL(join(ROOT, "scripts", "api.mjs")).href)) as {
    apiPage: () => string;
  };
  t.ok(apiPage() === read("docs/api.md"), "node scripts/api.mjs makes it anew");
});

t.test("docs/INVARIANTS.md: numbered, each with tests that are there", async (t) => {
  const items = read("docs/INVARIANTS.md")
    .split(/^(?=\d+\. )/m)
    .slice(1);
  items.forEach((item, i) => {
    t.ok(item.startsWith(`${i + 1}. **`), `${i + 1} comes in order: ${item.slice(0, 40)}`);
    const named = [...item.matchAll(/`([\w/-]+\.test\.ts)` "([^"]+)"/g)];
    t.ok(named.length > 0, `${i + 1} names a test`);
    for (const [, path = "", title = ""] of named) {
      const file = `test/${path}`;
      t.ok(existsSync(join(ROOT, file)), `${i + 1}: ${file} is there`);
      t.ok(read(file).includes(title), `${i + 1}: ${file} has a test "${title}"`);
    }
  });
});

t.test("docs/engine.md tells of every step, aggregate and window", async (t) => {
  const page = read("docs/engine.md");
  const topology = pipeline("test.docs");
  const stream = topology.from(testSource());
  const steps = [topology, stream, stream.keyBy(() => "all")].flatMap((one) =>
    Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(one))).flatMap(([name, { value }]) =>
      typeof value === "function" && !["constructor", "declare", "decodeWith", "create"].includes(name) ? [name] : [],
    ),
  );
  const names = new Set([...steps, ...Object.keys(EVERY_AGGREGATE), ...Object.keys(EVERY_WINDOW)]);
  const untold = [...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(page));
  t.same(untold, []);
});

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import t from "tap";
import { packageFolder } from "./files.js";

const readme = readFileSync(`${packageFolder()}/README.md`, "utf8");
const index = new URL("../src/index.js", import.meta.url).href;

t.test("every example runs and prints what is written below it", async (t) => {
  const examples = [...readme.matchAll(/```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)];
  t.equal(examples.length, [...readme.matchAll(/```js\n/g)].length, "each has its output");
  for (const [, code, output] of examples) {
    const source = (code as string).replace('"ml-anomaly-detection"', JSON.stringify(index));
    const ran = spawnSync(process.execPath, ["--input-type=module", "-e", source], { encoding: "utf8" });
    t.equal(ran.stdout, output, ran.stderr);
  }
});

t.test("every export is named in the README or a type", async (t) => {
  const exported = Object.keys(await import(index));
  const hidden = new Set(["AnomalyError", "averagePathLength", "calibratedScore"]);
  for (const name of exported) if (!hidden.has(name)) t.ok(readme.includes(name), name);
});

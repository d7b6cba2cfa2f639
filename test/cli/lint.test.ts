import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { temporaryDir } from "../support/millrace.js";

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
const cli = (...args: string[]) => run(process.execPath, [MAIN, ...args]);

/** A user's module: a topology that lint has something to say about, and a pipeline that is none. */
function moduleOf(steps: string): string {
  const path = join(temporaryDir("lint"), "mine.mjs");
  const operators = pathToFileURL(join(packageRoot(), "build/src/operators/index.js")).href;
  writeFileSync(
    path,
    `import { pipeline, testSource, testTarget, count, minutes, tumbling } from ${JSON.stringify(operators)};
const topology = pipeline("my.orders");
topology.from(testSource({ stream: "telemetry" }))${steps};
export const pipelines = [topology, { name: "by.hand", create() {} }];
`,
  );
  return path;
}

t.test("the pipelines of this build have nothing to be said about them", async (t) => {
  const { stdout } = await cli("lint");
  t.equal(
    stdout,
    "parallel-org.activity: nothing found\nmine.telemetry: nothing found\nmine.site: nothing found\nrules: nothing found\nalarms.desk: nothing found\nalerts/routing.yaml: nothing found\n",
  );
});

t.test("a module's errors: found with 3, and up refuses to start with them", async (t) => {
  const path = moduleOf('.to(testTarget("nowhere"))');
  const error = /my\.orders:\n {2}error: stream nowhere does not exist; known are /;
  await t.rejects(cli("lint", path), { code: 3, stdout: error });
  const { stdout } = await cli("lint", path, "--stream", "nowhere", "--json");
  t.same(JSON.parse(stdout), [{ name: "my.orders", findings: [] }]);
  const env = { ...process.env, MILLRACE_TOPOLOGIES: path };
  const up = run(process.execPath, [MAIN, "up", "--port", "0", "--data-dir", temporaryDir("lint-up")], { env });
  await t.rejects(up, { code: 2, stderr: /not starting, "millrace lint" finds:\n {2}my\.orders: stream nowhere/ });
});

t.test("warnings are for the author to judge", async (t) => {
  const steps = `.keyBy(({ value }) => value.shop).window("w", tumbling({ sizeMs: minutes(1) })).aggregate({ n: count() })
  .to(testTarget("features"))`;
  const { stdout } = await cli("lint", moduleOf(steps));
  t.match(
    stdout,
    /warning: keyBy: each partition keeps its own part of a key unless the key follows from site and equip/,
  );
});

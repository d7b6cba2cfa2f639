import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { readRoutingFile } from "../../src/cli/alerts/routing-file.js";
import { packageRoot } from "../../src/core/index.js";
import { alertOf } from "../operators/alerts/support.js";
import { temporaryDir } from "../support/millrace.js";

t.setTimeout(120_000); // eight processes, each a second on a quiet machine

const MAIN = join(packageRoot(), "build/src/cli/main.js");
const dir = temporaryDir("alerts");
t.before(() => writeFile(join(dir, "event.json"), JSON.stringify(alertOf({ severity: "critical" }))));
t.teardown(() => rm(dir, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const cli = (...words: readonly string[]): Promise<Ended> =>
  new Promise((resolve) =>
    execFile(process.execPath, [MAIN, ...words], { cwd: packageRoot() }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
    ),
  );

/** The shipped routing with what stands in it as comments taken as said. */
async function exampleRouting(): Promise<string> {
  const text = await readFile(join(packageRoot(), "alerts/routing.yaml"), "utf8");
  const prose = /^\s*# (?:Who|alert|As it|People|How alarms|While|More)/;
  return text
    .split("\n")
    .map((line) => (prose.test(line) ? line : line.replace(/^(\s*)# /, "$1")))
    .join("\n");
}

const event = () => join(dir, "event.json");

t.test("alerts test: with what ships, everything goes to the wall", async (t) => {
  const { code, stdout } = await cli("alerts", "test", "--event", event());
  t.equal(code, 0);
  t.match(stdout, /^critical \(high\) hot north\/oven: oven: 90 °C\n {2}the wall, nobody else\n$/);
});

t.test("alerts test: the examples in the shipped file work when they are taken up", async (t) => {
  await writeFile(join(dir, "routing.yaml"), await exampleRouting());
  const { code, stdout, stderr } = await cli(
    "alerts",
    "test",
    "--event",
    event(),
    "--routing",
    join(dir, "routing.yaml"),
  );
  t.same([code, stderr], [0, ""]);
  t.match(stdout, "route 0.0 to operations");
  t.match(stdout, "2026-11-16T08:00:10.000Z operations: firing: oven: 90 °C");
  t.match(stdout, "2026-11-16T08:15:00.000Z duty: firing (escalated: nobody has taken note): oven: 90 °C");
});

/** Refused by what every command reads the file with. */
async function refused(
  t: Test,
  read: (path: string) => Promise<unknown>,
  name: string,
  text: string,
  message: RegExp,
): Promise<void> {
  const path = join(dir, name);
  await writeFile(path, text);
  await t.rejects(read(path), { code: "MR_OPTION_INVALID", message }, String(message));
}

async function lintWith(option: string, name: string): Promise<Ended> {
  const env = { ...process.env, [option]: join(dir, name) };
  return new Promise((resolve) =>
    execFile(process.execPath, [MAIN, "lint"], { env, cwd: packageRoot() }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );
}

t.test("broken routing is refused with file, line, column and the fix", async (t) => {
  const good = await exampleRouting();
  const of = (from: string, to: string): string => good.replace(from, to);
  const broken: readonly (readonly [string, RegExp])[] = [
    [
      of("receivers: [operations]", "receivers: [oprations]"),
      /r\.yaml:\d+:\d+: .*there is no receiver "oprations"; known are: operations, workshop, duty, maintenance/,
    ],
    [
      of("wait: 30s", "wait: soon"),
      /r\.yaml:\d+:9: route\.wait: "soon" is no duration: write a number and ms, s, m, h or d/,
    ],
    [of("operators: 1", "operatrs: 1"), /r\.yaml:\d+:\d+: operatrs: is no option here/],
    [of('"priority = high"', '"priority high"'), /"priority high" is no condition: write label = value/],
    [of("Europe/Madrid", "Europe/Nowhere"), /"Europe\/Nowhere" is no time zone/],
    [of("clearBelow: 1.5", "clearBelow: 3"), /clearBelow must not be above raiseAt/],
    [of("groupBy: [rule, site]", "groupBy: [rule, site"), /r\.yaml:\d+:\d+: /],
  ];
  for (const [text, pattern] of broken) await refused(t, readRoutingFile, "r.yaml", text, pattern);
  const { code, stdout } = await lintWith("MILLRACE_ROUTING", "r.yaml");
  t.equal(code, 3);
  t.match(stdout, /error: .*r\.yaml:\d+:\d+: /);
});

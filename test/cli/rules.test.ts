import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { readRuleFiles } from "../../src/cli/rules/rule-file.js";
import { followConfiguration } from "../../src/cli/up/configuration.js";
import { createLogger, MillraceError, packageRoot } from "../../src/core/index.js";
import { memoryLog } from "../support/memory-log.js";
import { temporaryDir } from "../support/millrace.js";

t.setTimeout(120_000); // each command is a process: a second on a quiet machine, more on a busy one

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
const cli = (...args: string[]) => run(process.execPath, [MAIN, ...args]);
const SHIPPED = join(packageRoot(), "rules");

function file(text: string, name = "some.yaml"): string {
  const path = join(temporaryDir("rules"), name);
  writeFileSync(path, text);
  return path;
}

t.test("the shipped rules: whole, tested, not enabled", async (t) => {
  t.match((await cli("test", SHIPPED)).stdout, /^4 of 4 tests passed\n$/);
  t.same(JSON.parse((await cli("test", SHIPPED, "--json")).stdout), { tests: 4, failures: [] });
  t.match((await cli("lint", SHIPPED)).stdout, /rules\/example\.yaml: 3 rules, 4 tests, nothing found/);
});

t.test("a failing test: 3, with the line of what was expected", async (t) => {
  const shipped = readFileSync(join(SHIPPED, "example.yaml"), "utf8");
  const wrong = shipped.replace("at: 30m, rule: queue-long", "at: 31m, rule: queue-long");
  const line = wrong.split("\n").findIndex((each) => each.includes("at: 31m")) + 1;
  const path = file(wrong);
  const said = `${path}:${line}:9: a long queue that stays long is told once, and over when it is short: expected`;
  await t.rejects(cli("test", path), { code: 3, stdout: said });
  const none = `
rules:
  - { name: hot, when: { feature: f, value: v, above: 1 } }
tests:
  - name: more than expected
    given: [{ at: 0s, feature: f, key: k, values: { v: 2 } }]
    expect: []
  - name: fewer
    given: []
    expect: [{ at: 0s, rule: hot, key: k }]
`;
  const stdout =
    /some\.yaml:5:5: more than expected: nothing more was expected, got hot firing for k at 0ms\n.*:10:14: fewer: expected hot firing for k at 0ms, no more came\n0 of 2 tests passed/;
  await t.rejects(cli("test", file(none)), { code: 3, stdout });
});

t.test("a broken file is refused with file, line and the fix", async (t) => {
  const leaf = (text: string): string => `rules:\n  - { name: a, when: { feature: f, ${text} } }\n`;
  const limits = "above, atLeast, below, atMost, outside, within";
  const cases: readonly (readonly [string, string])[] = [
    [leaf("value: v, above: hot"), ":2:53: rules[0].when.above: must be a number"],
    [
      leaf("value: v, above: 1, below: 3"),
      `:2:22: rules[0].when: needs exactly one limit of ${limits}, got above and below`,
    ],
    [leaf("value: v"), `:2:22: rules[0].when: needs exactly one limit of ${limits}, got none`],
    [leaf("above: 1"), ":2:22: rules[0].when: needs exactly one of value, score, rate or absent, got none"],
    [
      leaf("rate: v, above: 1"),
      ":2:22: rules[0].when: a rate needs over, the span it is measured in, such as over: 10m",
    ],
    [
      leaf("value: v, above: 1, over: 1h"),
      ":2:22: rules[0].when: per and over belong to a rate; remove them or say rate",
    ],
    [leaf("absent: 1h, above: 1"), ":2:22: rules[0].when: absent takes no limit; remove above"],
    [leaf("absent: 8d"), "rules[0].when.absent: must be at most 7d"],
    [leaf("absent: soon"), "rules[0].when.absent: must be a time such as 90s, 10m, 1.5h or 2d, got soon"],
    [leaf("value: v, outside: [3, 1]"), "rules[0].when.outside: the first number must be smaller than the second"],
    [leaf("absent: 1h, until: { above: 1 }"), "rules[0].when: until belongs to value or score; remove it"],
    [leaf("abve: 1, value: v"), ":2:42: rules[0].when.abve: is no option here; remove it or see docs/rules.md"],
    ["rules:\n  - { name: A, when: { any: [] } }", ":2:13: rules[0].name: must be lower-case words joined by -"],
    ["rules:\n  - { name: a, when: { any: [] } }", ":2:29: rules[0].when.any: needs a condition"],
    [
      `${leaf("absent: 1h")}  - { name: a, when: { feature: f, absent: 1h } }`,
      ":3:13: rules[1].name: a is the name of another rule",
    ],
    ["rules: [", "some.yaml:1:"],
    [
      `${leaf("absent: 1h")}tests: [{ name: t, given: [], expect: [{ at: 0s, rule: b, key: k }] }]`,
      'there is no rule "b" in this file; known are: a',
    ],
  ];
  for (const [text, message] of cases) {
    const path = file(text);
    const error = await readRuleFiles(path).then(
      () => new Error("not refused"),
      (error: Error) => error,
    );
    t.match(error, { code: "MR_OPTION_INVALID" }, text);
    t.ok(error.message.startsWith(path) && error.message.includes(message), error.message);
  }
  const linted = cli("lint", file(leaf("value: v")));
  await t.rejects(linted, { code: 2, stderr: /^millrace: .*some\.yaml:2:22: .* needs exactly one limit/ });
  await t.rejects(cli("test", file(leaf("value: v"))), { code: 2 });
  await t.rejects(cli("lint", join(temporaryDir("none"), "rules")), {
    code: 2,
    stderr: /no module and no rules file at/,
  });
});

t.test("a broken file does not start; at run time the former rules stay", async (t) => {
  const path = file("rules: [{ name: a }]");
  const env = { ...process.env, MILLRACE_RULES: path };
  const up = run(process.execPath, [MAIN, "up", "--port", "0", "--data-dir", temporaryDir("rules-up")], { env });
  await t.rejects(up, { code: 2, stderr: /some\.yaml:1:9: rules\[0\]/ });
});

t.test("a changed file is in the log within seconds, once a partition; a broken one is not taken over", async (t) => {
  const log = memoryLog();
  await log.ensureStream({ name: "features", subjects: ["features.>"], maxBytes: 1e6 });
  const stopping = new AbortController();
  const path = join(t.testdir({}), "body.json");
  const write = (text: string): void => writeFileSync(path, text);
  let reads = 0;
  write('{"rules":[]}');
  const { ended } = await followConfiguration({
    ...{ log, logger: createLogger("silent"), signal: stopping.signal, without: { rules: [] } },
    subjects: ["features.0._ctl.rules", "features.1._ctl.rules"],
    path,
    read: async () => {
      reads++;
      const text = readFileSync(path, "utf8");
      if (!text.startsWith("{")) throw new MillraceError("MR_OPTION_INVALID", text);
      return JSON.parse(text);
    },
  });
  t.equal((await log.info("features")).lastSequence, 0, "nothing to say: no rules, and none known");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.equal(reads, 1, "what stays as it is, is not read again");
  write('{"rules":["a"]}');
  const reader = await log.read({ stream: "features", subjects: ["features.>"], fromSequence: 1 });
  const first = [...(await reader.next(1)), ...(await reader.next(1))].slice(0, 2);
  t.same(
    first.map(({ subject, data }) => [subject, JSON.parse(Buffer.from(data).toString())]),
    [
      ["features.0._ctl.rules", { rules: ["a"] }],
      ["features.1._ctl.rules", { rules: ["a"] }],
    ],
  );
  write("broken");
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // nothing can be awaited that must not come
  t.equal((await log.info("features")).lastSequence, 2);
  write('{"rules":[]}');
  t.match(await reader.next(1), [{ subject: "features.0._ctl.rules" }], "taking all out is a change too");
  stopping.abort();
  await ended;
  await reader.close();
});

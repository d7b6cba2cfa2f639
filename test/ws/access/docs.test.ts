import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CONFIG_HELP, packageRoot, ROLES, resolveConfig } from "../../../src/core/index.js";
import { ACCESS_LIMITS } from "../../../src/ws/access/limits.js";

const page = readFileSync(join(packageRoot(), "docs/access.md"), "utf8");

t.test("docs/access.md names options that exist, with the defaults they have", async (t) => {
  const known = new Set(Object.values(CONFIG_HELP).map(({ env }) => env));
  const named = [...page.matchAll(/MILLRACE_[A-Z_]+/g)].map(([name]) => name);
  t.ok(named.length > 10);
  t.same(
    named.filter((name) => !known.has(name)),
    [],
  );
  for (const role of ROLES) t.match(page, new RegExp(`\\| ${role} \\|`));
  const { requestsPerSecond, ingestPerSecond, connectionsPerIdentity, connectionsPerAddress } = resolveConfig([]);
  const configured = { requestsPerSecond, ingestPerSecond, connectionsPerIdentity, connectionsPerAddress };
  t.match(ACCESS_LIMITS, configured, "a gateway by itself has the same limits");
  for (const value of Object.values(configured)) t.ok(page.includes(value.toLocaleString("en")), String(value));
  t.ok(page.includes(`${ACCESS_LIMITS.failuresAtOnce}, then one every 2 s`));
});

t.test("the options of access: lists, rules as data or JSON, what is refused", async (t) => {
  const read = (values: Record<string, unknown>) => resolveConfig([{ label: (key) => key, values }]);
  t.same(read({ allowedOrigins: "https://a, https://b" }).allowedOrigins, ["https://a", "https://b"]);
  const rules = [{ channel: "plans.*", role: "operator" as const }];
  t.same(read({ channelRules: rules }).channelRules, rules);
  t.same(read({ channelRules: JSON.stringify(rules) }).channelRules, rules);
  const wrong = [
    { channelRules: "plans" },
    { channelRules: '[{"channel":"a","role":"root"}]' },
    { jwtSecret: "short-secret" },
  ];
  for (const values of wrong) {
    const [key = ""] = Object.keys(values);
    t.throws(() => read(values), { code: "MR_OPTION_INVALID", message: new RegExp(`^${key}`) }, JSON.stringify(values));
  }
  t.throws(
    () => read({ jwtSecret: "short-secret" }),
    { message: /^((?!short-secret).)*$/ },
    "a secret is not repeated",
  );
});

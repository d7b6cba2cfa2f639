import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { temporaryDir } from "../support/millrace.js";

const run = promisify(execFile);
const MAIN = join(packageRoot(), "build/src/cli/main.js");
const SECRET = "a-shared-secret-of-enough-length-0123456789";
const cli = async (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> =>
  (await run(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env } })).stdout;

t.test("token issue: signed with the secret of the environment, which nothing prints", async (t) => {
  const args = [
    "token",
    "issue",
    "--subject",
    "alice",
    "--role",
    "operator",
    "--ttl",
    "90m",
    "--channels",
    "alerts,plans.*",
  ];
  const token = (await cli(args, { MILLRACE_JWT_SECRET: SECRET })).trim();
  const [header, claims] = token
    .split(".")
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
  t.match(header, { alg: "HS256" });
  t.match(claims, { sub: "alice", roles: ["operator"], channels: ["alerts", "plans.*"] });
  t.equal(claims.exp - claims.iat, 5_400);
  await t.rejects(cli(args), { code: 2, stderr: /needs MILLRACE_JWT_SECRET/ });
  const short = cli(args, { MILLRACE_JWT_SECRET: "too-short-secret" });
  await t.rejects(short, { code: 2, stderr: /MILLRACE_JWT_SECRET: \(hidden\) is not accepted/ });
});

t.test("wrong usage is refused with 2", async (t) => {
  const none = ["--data-dir", temporaryDir("none")];
  const table = [
    { args: ["token", "issue", "--subject", "a", "--role", "root"], stderr: /must be one of viewer, operator/ },
    { args: ["token", "display", "create", "a", "--ttl", "soon"], stderr: /must be a time such as/ },
    { args: ["token", "display", "create", "a b"], stderr: /letters, digits/ },
    { args: ["key", "list", ...none], stderr: /no running instance/ },
  ];
  for (const { args, stderr } of table) await t.rejects(cli(args), { code: 2, stderr }, args.join(" "));
  for (const command of [
    ["token", "display", "create"],
    ["token", "issue"],
    ["key", "revoke"],
  ])
    t.match(await cli([...command, "--help"]), /Example:\n {2}millrace (?:token|key)/, command.join(" "));
});

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { MillraceError } from "../../../src/core/index.js";
import { obtainNatsServer, ROUTES, takeFirst } from "../../../src/streams/nats-server/obtain.js";
import { absent, type StepResult } from "../../../src/streams/nats-server/step.js";
import { bareContext, fakeServer } from "./fakes.js";

t.test("the order: what is given, what is there, what can be fetched", async (t) => {
  t.same(
    ROUTES.map(({ name }) => name),
    ["NATS_URL", "NATS_SERVER_BIN", "PATH", "cache", "release archive", "go install", "Debian package"],
  );
});

t.test("what is given and what is there is found without a word", async (t) => {
  const dir = t.testdir();
  const bin = await fakeServer(join(dir, "given"), "2.14.0");
  const onPath = await fakeServer(join(dir, "path"), "2.15.3");
  const cached = await fakeServer(join(dir, "nats-server", `2.15.0-${process.platform}-${process.arch}`), "2.15.0");
  const PATH = `${dir}/path`;
  const table = [
    { env: { NATS_URL: "nats://h:4222", NATS_SERVER_BIN: bin, PATH }, expected: { kind: "url", url: "nats://h:4222" } },
    { env: { NATS_SERVER_BIN: bin, PATH }, expected: { path: bin, version: "2.14.0", origin: "NATS_SERVER_BIN" } },
    { env: { PATH }, expected: { path: onPath, version: "2.15.3", origin: "PATH" } },
    { env: { NATS_URL: "", PATH: "" }, expected: { path: cached, version: "2.15.0", origin: "cache" } },
  ];
  for (const { env, expected } of table) {
    const lines: string[] = [];
    const report = (line: string): void => void lines.push(line);
    t.match(await obtainNatsServer({ env, cacheDir: dir, report }), expected);
    t.same(lines, []);
  }
});

t.test("what is too old or broken is named, and the next route is taken", async (t) => {
  const dir = t.testdir();
  const old = await fakeServer(join(dir, "old"), "2.9.10");
  const home = join(dir, "nats-server", "2.15.1-linux-x64");
  await mkdir(home, { recursive: true });
  await writeFile(join(home, "nats-server"), "#!/bin/sh\nexit 3\n");
  await chmod(join(home, "nats-server"), 0o755);
  await fakeServer(join(dir, "nats-server", "2.15.0-linux-x64"), "2.15.0");
  const { context, lines } = bareContext(dir, { env: { NATS_SERVER_BIN: "/nowhere/nats-server", PATH: `${dir}/old` } });
  t.match(await takeFirst(ROUTES, context), { version: "2.15.0", origin: "cache" }, "the cache's second one works");
  t.same(lines, [
    "nats-server, NATS_SERVER_BIN: /nowhere/nats-server --version failed (ENOENT)",
    `nats-server, PATH: ${old} is 2.9.10, 2.14.0 or newer is needed`,
  ]);
});

t.test("when everything fails the error lists what was tried and three ways out", async (t) => {
  const dir = t.testdir();
  const { context } = bareContext(dir);
  const error = await takeFirst(ROUTES, context).catch((caught: unknown) => caught);
  if (!(error instanceof MillraceError)) return t.fail("not a MillraceError");
  t.equal(error.code, "MR_BINARY_MISSING");
  for (const { name } of ROUTES) t.match(error.message, new RegExp(`^  - ${name}: \\S`, "m"));
  for (const way of [/^ {2}1\. install/m, /^ {2}2\. copy .*2\.15\.0-linux-x64/m, /^ {2}3\. set NATS_URL/m])
    t.match(error.message, way);
  t.notMatch(error.message, /undefined/);
});

t.test("offline nothing is fetched", async (t) => {
  const lines: string[] = [];
  const report = (line: string): void => void lines.push(line);
  const looking = obtainNatsServer({ env: { PATH: "" }, cacheDir: t.testdir({}), report, offline: true });
  const error = await looking.catch((caught: unknown) => caught);
  t.match(error, { code: "MR_BINARY_MISSING", message: /^ {2}- cache: none in/m });
  t.notMatch((error as Error).message, /release archive|go install|Debian package/);
  t.same(lines, []);
});

t.test("routes after the first success are not taken, and our own errors are not swallowed", async (t) => {
  const { context } = bareContext(t.testdir());
  const found: StepResult = { kind: "found", server: { kind: "url", url: "nats://x" } };
  const never = async (): Promise<StepResult> => t.fail("taken") as never;
  const nothing = { name: "a", take: async () => absent("nothing") };
  t.same(
    await takeFirst([nothing, { name: "b", take: async () => found }, { name: "c", take: never }], context),
    found.server,
  );
  const wrong = async (): Promise<StepResult> => {
    throw new MillraceError("MR_OPTION_INVALID", "no");
  };
  await t.rejects(takeFirst([{ name: "a", take: wrong }], context), { code: "MR_OPTION_INVALID" });
});

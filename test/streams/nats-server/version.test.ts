import t from "tap";
import { compareVersions, parseVersion, readServerVersion } from "../../../src/streams/nats-server/version.js";
import { fakeProgram, fakeServer } from "./fakes.js";

t.test("parseVersion takes the first version of a text", async (t) => {
  const table: [string, string | undefined][] = [
    ["nats-server: v2.15.0", "2.15.0"],
    ["nats-server: v2.15.0-RC.1", "2.15.0"],
    ["go version go1.26.8 linux/amd64", "1.26.8"],
    ["go version go1.27 linux/arm64", "1.27.0"],
    ["no version here", undefined],
  ];
  for (const [text, expected] of table) t.equal(parseVersion(text), expected, text);
});

t.test("compareVersions compares numbers, not text", async (t) => {
  t.equal(compareVersions("2.14.0", "2.14.0"), 0);
  t.ok(compareVersions("2.9.10", "2.14.0") < 0, "9 is less than 14");
  t.ok(compareVersions("2.15.1", "2.15.0") > 0);
  t.ok(compareVersions("3.0.0", "2.99.99") > 0);
});

t.test("readServerVersion asks the program, and says in one line what is wrong with it", async (t) => {
  const env = { PATH: "/usr/bin:/bin" };
  t.equal(await readServerVersion(await fakeServer(t.testdir(), "2.15.1"), env), "2.15.1");
  const other = await fakeProgram(t.testdirName, "other", 'echo "v1.2.3 of something else"');
  await t.rejects(readServerVersion(other, env), { message: `${other} does not answer --version as nats-server does` });
  const broken = await fakeProgram(t.testdirName, "broken", "echo 'GLIBC_2.99 not found' >&2; exit 127");
  await t.rejects(readServerVersion(broken, env), {
    message: `${broken} --version failed (127): GLIBC_2.99 not found`,
  });
  await t.rejects(readServerVersion("/nonexistent/nats-server", env), { message: /--version failed \(ENOENT\)/ });
});

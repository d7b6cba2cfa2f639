import { chmod } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { findOnPath, runCommand } from "../../../src/streams/nats-server/command.js";
import { fakeProgram } from "./fakes.js";

t.test("findOnPath takes the first executable, skipping empty parts and plain files", async (t) => {
  const dir = t.testdir({ a: { tool: "not executable" }, b: {}, c: {} });
  await fakeProgram(join(dir, "b"), "tool", "true");
  await fakeProgram(join(dir, "c"), "tool", "true");
  await chmod(join(dir, "a", "tool"), 0o644);
  t.equal(await findOnPath("tool", `:${dir}/a:${dir}/b:${dir}/c`), `${dir}/b/tool`);
  t.equal(await findOnPath("tool", undefined), undefined);
  t.equal(await findOnPath("tool", `${dir}/missing`), undefined);
});

t.test("runCommand passes the environment it is given and no other", async (t) => {
  const { stdout } = await runCommand("/bin/sh", ["-c", "env"], { env: { ONLY: "this" }, timeoutMs: 5_000 });
  t.match(stdout, /^ONLY=this$/m);
  t.notMatch(stdout, /^HOME=/m);
});

t.test("runCommand says what ended a program", async (t) => {
  const options = { env: { PATH: "/usr/bin:/bin" }, timeoutMs: 5_000 };
  const dying = await fakeProgram(t.testdir(), "dying", "kill -KILL $$");
  await t.rejects(runCommand(dying, [], options), { message: `${dying} failed (SIGKILL)` });
});

t.test("runCommand ends a program that takes too long", async (t) => {
  const slow = await fakeProgram(t.testdir(), "slow", "exec sleep 30");
  await t.rejects(runCommand(slow, [], { env: { PATH: "/usr/bin:/bin" }, timeoutMs: 200 }), {
    message: `${slow} gave no result within 0.2 s`,
  });
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import t from "tap";
import { inspectProcess, isAlive } from "../../../src/streams/nats-server/process-info.js";

t.test("a running process shows its parent and its arguments", async (t) => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "an argument"]);
  t.teardown(() => child.kill("SIGKILL"));
  await once(child, "spawn");
  const info = await inspectProcess(child.pid as number);
  t.match(info, { kind: "running", parentPid: process.pid, args: /an argument$/ });
  child.kill("SIGKILL");
  await once(child, "exit");
  t.same(await inspectProcess(child.pid as number), { kind: "gone" });
});

t.test("a number nobody has is gone", async (t) => {
  t.same(await inspectProcess(2 ** 30), { kind: "gone" });
  t.equal(isAlive(2 ** 30), false);
  t.equal(isAlive(process.pid), true);
});

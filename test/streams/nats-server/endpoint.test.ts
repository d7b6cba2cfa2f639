import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import {
  endpointPath,
  endStaleServer,
  readEndpoint,
  writeEndpoint,
} from "../../../src/streams/nats-server/endpoint.js";
import { fakeProgram } from "./fakes.js";

const ENDPOINT = { url: "nats://127.0.0.1:1", user: "millrace", password: "p", mqttPort: 2 };

/** A process that looks like nats-server with the configuration of `dir`, and does `script` meanwhile. */
async function pretend(t: Test, dir: string, script: string): Promise<number> {
  const program = await fakeProgram(join(dir, "bin"), "nats-server", script);
  const child = spawn(program, ["-c", `${dir}/nats-server.conf`], { stdio: ["ignore", "pipe", "ignore"] });
  t.teardown(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  const pid = child.pid as number;
  await writeFile(join(dir, "nats-server.pid"), `${pid}`);
  return pid;
}

const ENDS_WHEN_ASKED = "trap 'exit 0' TERM; echo up; while true; do sleep 0.05; done";
const REFUSES_TO_END = "trap '' TERM; echo up; while true; do sleep 0.05; done";

t.test("a server whose parent is gone is ended, if need be by force", async (t) => {
  for (const script of [ENDS_WHEN_ASKED, REFUSES_TO_END]) {
    const dir = t.testdir({});
    const pid = await pretend(t, dir, script);
    await writeEndpoint(dir, { ...ENDPOINT, pid, parentPid: 2 ** 30 });
    t.match(await readEndpoint(dir), { pid, url: ENDPOINT.url });
    t.equal(await endStaleServer(dir, 300), "ended");
    t.equal(await readEndpoint(dir), undefined);
  }
});

t.test("a server whose parent lives is left alone", async (t) => {
  const dir = t.testdir({});
  const pid = await pretend(t, dir, ENDS_WHEN_ASKED);
  await writeEndpoint(dir, { ...ENDPOINT, pid, parentPid: process.pid });
  await t.rejects(endStaleServer(dir, 300), {
    code: "MR_DATA_DIR_IN_USE",
    message: `${dir} is in use by process ${process.pid}. Stop that one first, or choose another --data-dir`,
  });
  t.match(await readEndpoint(dir), { pid });
});

t.test("a process that took over the number is none of ours", async (t) => {
  const dir = t.testdir({ "nats-server.pid": `${process.pid}` });
  await writeEndpoint(dir, { ...ENDPOINT, pid: process.pid, parentPid: process.ppid });
  t.equal(await endStaleServer(dir, 300), "none");
  t.equal(await readEndpoint(dir), undefined);
});

t.test("nothing there, or something unreadable, is no server", async (t) => {
  t.equal(await endStaleServer(t.testdir({}), 300), "none");
  t.equal(await endStaleServer(t.testdir({ "nats-server.pid": "garbage" }), 300), "none");
  t.equal(await readEndpoint(t.testdir({ "endpoint.json": '{"url":' })), undefined);
});

t.test("the file with the password is for its owner only", async (t) => {
  const dir = t.testdir({});
  await writeEndpoint(dir, { ...ENDPOINT, pid: 1, parentPid: 1 });
  t.ok(existsSync(endpointPath(dir)));
  t.equal(statSync(endpointPath(dir)).mode & 0o777, 0o600);
});

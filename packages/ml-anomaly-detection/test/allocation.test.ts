import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import t from "tap";
import type { Allocation } from "./allocation-child.js";

const child = fileURLToPath(new URL("./allocation-child.js", import.meta.url));
// Coverage instruments functions and allocates: the child runs without it.
const env = { ...process.env, NODE_V8_COVERAGE: "", NODE_OPTIONS: "" };
const ran = spawnSync(process.execPath, ["--expose-gc", child], { encoding: "utf8", env, maxBuffer: 1e7 });

t.test("the hot path creates no array or object and keeps nothing: up to a million calls each", async (t) => {
  t.equal(ran.status, 0, ran.stderr);
  const found = JSON.parse(ran.stdout) as Allocation[];
  t.ok(found.length > 20, `${found.length} detectors`);
  for (const { name, calls, grownBytes, objectsPerCall } of found) {
    // One object a call would be 1. What is left: refits once in many rows, and V8 compiling what has become hot.
    t.ok(objectsPerCall < 0.2, `${name}: ${objectsPerCall} objects a call`);
    t.ok(grownBytes < 512 * 1024, `${name}: ${grownBytes} bytes kept after ${calls} calls`);
  }
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t from "tap";
import { KEY, setting } from "./setting.js";

const PRINT_ALERTS = fileURLToPath(new URL("../../examples/client/print-alerts.js", import.meta.url));

t.test("print-alerts prints each alert once, over two runs", { timeout: 60_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "millrace-example-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const world = await setting(t);
  const run = () => {
    const child = spawn(process.execPath, [PRINT_ALERTS, world.url, KEY, join(directory, "place.json")]);
    t.teardown(() => child.kill());
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    return {
      opened: (async () => {
        for await (const line of createInterface(child.stderr)) if (line === "open") return;
      })(),
      line: async () => (await lines.next()).value as string,
      async stop() {
        child.kill("SIGTERM");
        t.same(await once(child, "exit"), [0, null], "ends by itself");
      },
    };
  };
  const first = run();
  await first.opened;
  await world.write(1); // may come before the subscription: the next ones do not
  const writing = world.write(20);
  let at = Number(/^warning truck-07: alert (\d+)$/.exec(await first.line())?.[1]);
  t.ok(at >= 1, `begins with ${at}`);
  await writing;
  for (; at < 21; at++) t.equal(await first.line(), `warning truck-07: alert ${at + 1}`);
  await first.stop();
  await world.write(2);
  const second = run();
  t.same([await second.line(), await second.line()], ["warning truck-07: alert 22", "warning truck-07: alert 23"]);
  await second.stop();
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { createGateway } from "../../src/ws/index.js";
import { memoryLog } from "../support/memory-log.js";
import { client, ready } from "./support.js";

const KEY = "0123456789abcdef0123456789abcdef";

t.test("docs/protocol.md shows what is really sent", async (t) => {
  const text = readFileSync(join(packageRoot(), "docs/protocol.md"), "utf8");
  const sessions = [...text.matchAll(/^```\n((?:[<>] .*\n)+)^```$/gm)].map(([, block = ""]) =>
    block.trim().split("\n"),
  );
  t.equal(sessions.length, 5);
  const log = memoryLog(() => "5f1d7a90c3b2e846");
  for (const name of ["alerts", "plans", "features"])
    await log.ensureStream({ name, subjects: [`${name}.>`], maxBytes: 1 });
  const fillTo = async (offset: number) => {
    for (let { lastSequence } = await log.info("alerts"); lastSequence < offset; lastSequence++) {
      await log.publish({ subject: "alerts._at.mine%2F0", data: Buffer.from("{}") });
    }
  };
  await fillTo(41);
  const gateway = await createGateway({
    channels: CHANNELS,
    log,
    routes: [],
    host: "127.0.0.1",
    port: 0,
    localKey: KEY,
    logger: createLogger("silent"),
    stats: () => ({}) as never,
    readiness: () => [],
    query: async () => ({ columns: [], rows: [], truncated: false, elapsedMs: 0 }),
  });
  t.teardown(() => gateway.close());
  const url = `${gateway.url.replace("http", "ws")}/ws?key=${KEY}`;
  const probe = await client(url);
  await ready(probe, { op: "subscribe", id: 1, channel: "alerts" });
  probe.ws.close();
  for (const lines of sessions) {
    const c = await client(url);
    for (const line of lines) {
      const shown = line.slice(2);
      if (line.startsWith("> ")) {
        c.send(shown);
        continue;
      }
      const { op, offset, data, epoch } = JSON.parse(shown);
      if (op === "event" && (await log.info("alerts")).lastSequence < offset) {
        await fillTo(offset - 1);
        await log.publish({ subject: "alerts.0.mine", data: Buffer.from(JSON.stringify(data)) });
      }
      const frame = await c.next();
      const sent = c.log.find((raw) => JSON.stringify(JSON.parse(raw)) === JSON.stringify(frame)) ?? "";
      t.equal(frame.history === false ? sent.replace(String(frame.epoch), epoch) : sent, shown);
    }
    c.ws.close();
    await c.closed;
  }
});

import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import { watchDisk } from "../../../src/cli/up/disk-room.js";
import { createLogger } from "../../../src/core/index.js";
import { connectLog, streamSpecs, telemetryDoor } from "../../../src/streams/index.js";
import { httpRequest } from "../../support/http.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";
import { smallDisk } from "../../support/small-disk.js";

const MB = 1024 * 1024;
const logger = createLogger("silent");

t.test(
  "while another program fills the disk doors refuse; then they take again, and nothing acknowledged is lost",
  async (t) => {
    const small = smallDisk(96);
    if (small === undefined) {
      t.comment("skipped: no right to mount a small disk here");
      return;
    }
    const { path } = small;
    const server = await startNats({ within: path });
    const { log, close } = await connectLog({ url: server.url, name: "test" });
    const stopping = new AbortController();
    const room = await watchDisk({ path, logger, signal: stopping.signal, reserveBytes: 16 * MB });
    t.teardown(async () => {
      stopping.abort();
      await room.ended;
      await close();
      await server.stop();
      small.remove();
    });
    for (const spec of streamSpecs(1)) await log.ensureStream({ ...spec, maxBytes: 4 * MB });
    const door = telemetryDoor({ log: room.guarded(log), localKey: "key" });
    const acknowledged: string[] = [];
    const post = async (n: number) => {
      const reading = { id: `e${n}`, site: "s", equipment: "e", group: "g", ts: 1_700_000_000_000 + n, values: { n } };
      const answer = await door.handle(httpRequest(door.path, Buffer.from(JSON.stringify(reading)), {}));
      acknowledged.push(reading.id);
      return answer.status;
    };
    const until = async (so: () => boolean) => {
      for (const endMs = performance.now() + 60_000; !so(); await delay(50))
        if (performance.now() > endMs) throw new Error(`not so after a minute: ${so}`);
    };

    t.equal(await post(0), 202);
    t.equal(room.reason(), undefined);
    small.fill(8 * MB);
    await until(() => room.reason() !== undefined);
    const refusal = {
      code: "MR_LOG_FULL",
      disposition: "retry",
      message: /has \d MB free, and 16 MB are kept .* make room/,
    };
    await t.rejects(post(1), refusal);
    await log.publish({ subject: "alerts.0.mine", data: Buffer.from("{}") });
    t.pass("what is accepted is still worked off");
    small.empty();
    await until(() => room.reason() === undefined);
    t.equal(await post(2), 202);
    const stored = (await readAll(log, "telemetry", "telemetry.*.*.*.*")).map(
      ({ data }) => JSON.parse(Buffer.from(data).toString()).id,
    );
    t.same(stored, acknowledged);
  },
);

t.test("a disk that cannot be asked has room", async (t) => {
  const stopping = new AbortController();
  const room = await watchDisk({ path: "/nowhere/at/all", logger, signal: stopping.signal });
  t.equal(room.reason(), undefined);
  stopping.abort();
  await room.ended;
});

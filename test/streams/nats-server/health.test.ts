import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import t from "tap";
import { writeFailures } from "../../../src/streams/nats-server/health.js";
import { startNatsServer } from "../../../src/streams/nats-server/start.js";
import { natsBinary } from "../../support/nats.js";
import { freePort } from "../../support/ports.js";
import { smallDisk } from "../../support/small-disk.js";

t.test("a stream whose write failed is named, also when there is room again; the others are not", async (t) => {
  const disk = smallDisk(32);
  if (disk === undefined) {
    t.comment("skipped: no right to mount a small disk here");
    return;
  }
  const options = { storeDir: disk.path, mqttPort: undefined, mqttPassword: "x" };
  const server = await startNatsServer({ bin: natsBinary(), ...options });
  const { url, user, password } = server;
  const nc = await connect({ servers: url, user, pass: password });
  t.teardown(async () => {
    await nc.close();
    await server.stop();
    disk.remove();
  });
  const jsm = await jetstreamManager(nc);
  for (const name of ["full", "well"]) await jsm.streams.add({ name, subjects: [name], max_bytes: 4 << 20 });
  t.same(await writeFailures(url, password), []);
  disk.fill(1 << 20);
  const failed = async (): Promise<boolean> => {
    nc.publish("full", new Uint8Array(100_000));
    await nc.flush();
    return ((await writeFailures(url, password))?.length ?? 0) > 0;
  };
  for (const endMs = Date.now() + 30_000; !(await failed()); )
    if (Date.now() > endMs) throw new Error("no write has failed on a full disk");
  disk.empty();
  t.match(await writeFailures(url, password), [/stream '.* > full' write error: .*no space left/]);
});

t.test("a server that does not answer, or does not let us in, says nothing", async (t) => {
  t.equal(await writeFailures(`nats://127.0.0.1:${await freePort()}`, "x"), undefined);
});

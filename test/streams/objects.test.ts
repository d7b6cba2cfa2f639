import t from "tap";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { bytes, text } from "../support/text.js";

t.test("objects by name", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { objects, close } = await connectLog({ url: server.url, name: "test", timeoutMs: 500 });
  t.teardown(close);
  t.equal(await objects.get("snapshots/none"), undefined);
  const large = Uint8Array.from({ length: 3_500_001 }, (_, i) => i % 251);
  await objects.put("snapshots/mine.haul-cycles/3/100", large);
  await objects.put("snapshots/b", bytes("b"));
  await objects.put("other", bytes(""));
  t.ok(
    Buffer.compare(large, (await objects.get("snapshots/mine.haul-cycles/3/100")) ?? bytes("")) === 0,
    "several chunks",
  );
  t.equal((await objects.get("other"))?.length, 0);
  await objects.put("snapshots/b", bytes("b"));
  t.equal(text((await objects.get("snapshots/b")) ?? bytes("")), "b", "written twice reads as once");
  await objects.put("snapshots/b", bytes("again"));
  t.equal(text((await objects.get("snapshots/b")) ?? bytes("")), "again");
  await server.kill();
  await server.start();
  for (let tries = 0; ; tries++) {
    const found = await objects
      .get("snapshots/b")
      .catch((error: unknown) => (tries > 50 ? Promise.reject(error) : undefined));
    if (found === undefined) continue;
    t.equal(text(found), "again", "survives a kill -9 of the server");
    break;
  }
});

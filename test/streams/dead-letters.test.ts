import t from "tap";
import type { DeadLetter } from "../../src/core/index.js";
import { connectLog, listDeadLetters, showDeadLetter, streamSpecs } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";
import { bytes } from "../support/text.js";

const letter = (n: number, domain: DeadLetter["domain"]): DeadLetter & { id: string } => ({
  id: `inc/mine.features/0/${n}/0`,
  kind: "dead",
  domain,
  eventId: `h-${n}`,
  reason: "not JSON",
  source: "live",
  door: "mqtt",
  subject: "telemetry.0.-.-.-",
  origin: { stream: domain, sequence: n, index: 0 },
  bytesBase64: "e2Jyb2tlbg==",
  bytesTotal: 7,
});

t.test("dead letters, newest first, and one of them", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  for (const spec of streamSpecs(4)) await log.ensureStream(spec);
  t.same(await listDeadLetters(log, { limit: 5 }), []);
  t.equal(await showDeadLetter(log, "1"), undefined);
  let at = 0;
  for (let n = 0; n < 700; n += 1) {
    const domain = n === 3 || n === 5 ? "github" : "telemetry";
    const message = { subject: `dead.${domain}`, data: bytes(JSON.stringify(letter(n, domain))) };
    if (n % 100 !== 99) await log.publish(message);
    else
      at = (
        await log.writeBatch({
          stream: "dead",
          task: "t/0",
          messages: [message],
          marker: { sequence: n, index: 0 },
          expectedAt: at,
        })
      ).storedAt;
  }
  const origins = async (options: Parameters<typeof listDeadLetters>[1]) =>
    (await listDeadLetters(log, options)).map(({ origin }) => origin.sequence);
  t.same(await origins({ limit: 3 }), [699, 698, 697]);
  t.same(await origins({ limit: 3, domain: "github" }), [5, 3], "found far back");
  t.equal((await origins({ limit: 1_000 })).length, 700);
  const [newest] = await listDeadLetters(log, { limit: 1 });
  t.equal(newest?.deadSequence, 706, "markers take places too");
  t.same(await showDeadLetter(log, "706"), newest);
  t.equal(await showDeadLetter(log, "707"), undefined, "the marker is not a letter");
  t.equal(await showDeadLetter(log, "101"), undefined);
  t.equal((await showDeadLetter(log, "inc/mine.features/0/3/0"))?.domain, "github");
  t.equal(await showDeadLetter(log, "inc/mine.features/0/700/0"), undefined);
});

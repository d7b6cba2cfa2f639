import t from "tap";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { watchArrivals } from "../../../src/streams/replay/arrivals.js";
import { startNats } from "../../support/nats.js";

t.test("what was sent is seen in the log, repeats one by one", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  t.teardown(close);
  for (const spec of streamSpecs(2)) await log.ensureStream(spec);
  const publish = (data: Uint8Array) => log.publish({ subject: "in.telemetry.s.e.g", data });
  const same = Buffer.from([0, 255, 1]);
  await publish(same);
  const stop = new AbortController();
  const arrivals = await watchArrivals(log, stop.signal);
  t.teardown(arrivals.close);
  const order: string[] = [];
  const first = arrivals.until(same, () => order.push("sent")).then(() => order.push("first"));
  const second = arrivals.until(same, () => order.push("sent again")).then(() => order.push("second"));
  await arrivals.until(Buffer.from("other"), () => void publish(Buffer.from("other")));
  t.same(order, ["sent", "sent again"], "what was there before does not count");
  await publish(same);
  await first;
  t.notOk(order.includes("second"), "one arrival, one receipt");
  await publish(same);
  await second;
  const pending = arrivals.until(Buffer.from("never"), () => undefined);
  stop.abort();
  await pending;
  let sent = false;
  await arrivals.until(same, () => {
    sent = true;
  });
  t.notOk(sent, "nothing more after the abort");
});

t.test("a log that cannot be read is an error", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, close } = await connectLog({ url: server.url, name: "test" });
  for (const spec of streamSpecs(2)) await log.ensureStream(spec);
  const arrivals = await watchArrivals(log, new AbortController().signal);
  const pending = arrivals.until(Buffer.from("x"), () => undefined);
  await Promise.all([close(), t.rejects(pending, { code: "MR_LOG_UNAVAILABLE" })]);
  await t.rejects(
    arrivals.until(Buffer.from("x"), () => undefined),
    { code: "MR_LOG_UNAVAILABLE" },
  );
  await arrivals.close();
});

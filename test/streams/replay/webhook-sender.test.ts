import { createHmac } from "node:crypto";
import t from "tap";
import type { HttpRequest } from "../../../src/core/index.js";
import type { SampleRecord } from "../../../src/streams/replay/records.js";
import { webhookSender } from "../../../src/streams/replay/webhook-sender.js";
import { jumpingClock } from "../../support/clock.js";
import { hostRoutes } from "../../support/http-host.js";
import { text } from "../../support/text.js";

const body =
  '{"head":{"repo":{"full_name":"fork/rust"}},"repository":{"name":"rust","full_name":"rust-lang/rust"},"at":"2022-11-07T00:00:00Z"}';
const record = (offsetMs: number, line: object = {}): SampleRecord => ({
  atMs: 0,
  offsetMs,
  line: { at: 0, event: "push", delivery: "d-1", body, ...line },
});

t.test("deliveries as GitHub makes them, repeated until one is taken", async (t) => {
  const requests: HttpRequest[] = [];
  const answers = [503, 429, 500, 202];
  const host = await hostRoutes([
    {
      method: "POST",
      path: "/hooks/github",
      access: "own",
      maxBodyBytes: 1_000,
      handle: async (request) => {
        requests.push(request);
        return { status: answers.shift() ?? 204 };
      },
    },
  ]);
  t.teardown(host.stop);
  const clock = jumpingClock(0);
  const stop = new AbortController();
  const options = {
    url: `${host.url}/hooks/github`,
    secret: "s",
    localKey: "k",
    source: "sample",
    clock,
    signal: stop.signal,
  };
  const sender = webhookSender(options);
  await sender.send(record(86_400_000));
  t.equal(requests.length, 4);
  t.same(clock.sleptMs, [100, 200, 400], "growing pauses");
  const [request] = requests;
  t.match(text(request?.body ?? new Uint8Array()), /"at":"2022-11-08T00:00:00Z"/, "shifted before it is signed");
  const signature = `sha256=${createHmac("sha256", "s")
    .update(request?.body ?? "")
    .digest("hex")}`;
  const expected = {
    "x-hub-signature-256": signature,
    "x-github-event": "push",
    "x-github-delivery": "d-1",
    "x-millrace-source": "sample",
    authorization: "Bearer k",
    "content-type": "application/json",
  };
  for (const [name, value] of Object.entries(expected)) t.equal(request?.header(name), value, name);

  await t.test("the key is the repository the delivery is about", async (t) => {
    t.equal(sender.keyOf(record(0)), "rust-lang/rust");
    t.equal(sender.keyOf(record(0, { body: '{"zen":""}' })), "-");
  });
  await t.test("refused for good: thrown", async (t) => {
    for (const [status, code] of [
      [401, "MR_UNAUTHORIZED"],
      [413, "MR_REQUEST_INVALID"],
    ] as const) {
      answers.push(status);
      await t.rejects(sender.send(record(0)), { code });
    }
  });
  await t.test("nobody there: until the run is aborted", async (t) => {
    const waiting = { ...clock, sleep: async () => stop.abort() };
    const alone = webhookSender({ ...options, url: "http://127.0.0.1:1/hooks/github", clock: waiting });
    await t.resolves(alone.send(record(0)));
    await alone.close();
  });
  await sender.close();
});

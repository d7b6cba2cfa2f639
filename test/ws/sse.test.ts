import t from "tap";
import { createLogger } from "../../src/core/logger.js";
import { CHANNELS } from "../../src/pipelines/channels.js";
import { createGateway, type Gateway } from "../../src/ws/index.js";
import { type MemoryLog, memoryLog } from "../support/memory-log.js";
import { client, ready, TRANSPORTS } from "./support.js";

const KEY = "0123456789abcdef0123456789abcdef";

async function start(transport: "uws" | "node", log: MemoryLog): Promise<Gateway> {
  return createGateway({
    transport,
    log,
    channels: CHANNELS,
    routes: [],
    host: "127.0.0.1",
    port: 0,
    localKey: KEY,
    logger: createLogger("silent"),
    limits: { maxBufferedBytes: 200_000 },
    stats: () => ({}) as never,
    readiness: () => [],
    query: async () => ({ columns: [], rows: [], truncated: false, elapsedMs: 0 }),
  });
}

async function newLog(): Promise<MemoryLog> {
  const log = memoryLog();
  for (const name of ["alerts", "plans", "features", "audit"])
    await log.ensureStream({ name, subjects: [`${name}.>`], maxBytes: 1 });
  return log;
}

interface Message {
  readonly id?: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Reads a stream of events as an EventSource would. */
async function listen(gateway: Gateway, query: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const url = `${gateway.url}/sse?${query}`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${KEY}`, ...headers }, signal: abort.signal });
  const reader = response.body?.getReader();
  let text = "";
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    close: () => abort.abort(),
    async next(): Promise<Message> {
      for (;;) {
        const end = text.indexOf("\n\n");
        if (end < 0) {
          const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
          if (done) throw new Error("the stream ended");
          text += Buffer.from(value ?? []).toString();
          continue;
        }
        const lines = text.slice(0, end).split("\n");
        text = text.slice(end + 2);
        const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const [event, data, id] = [field("event"), field("data"), field("id")];
        if (event !== undefined && data !== undefined)
          return { event, data: JSON.parse(data), ...(id === undefined ? {} : { id }) };
      }
    },
  };
}

for (const transport of TRANSPORTS) {
  t.test(`${transport}: server-sent events with the same recovery`, async (t) => {
    const log = await newLog();
    const gateway = await start(transport, log);
    t.teardown(() => gateway.close());
    const alert = (n: number) =>
      log.publish({ subject: "alerts.0.mine", data: Buffer.from(`{"n":${n},\n"odd":${n % 2 === 1}}`) });
    const probe = await client(`${gateway.url.replace("http", "ws")}/ws?key=${KEY}`);
    await ready(probe, { op: "subscribe", id: 1, channel: "alerts" });
    const a = await listen(gateway, "channel=alerts");
    t.match(a, { status: 200, type: /^text\/event-stream/ });
    t.match(await a.next(), { event: "subscribed", data: { channel: "alerts", offset: 0 } });
    await alert(1);
    const first = await a.next();
    t.match(first, { event: "event", id: /^[0-9a-f]+:1$/, data: { op: "event", offset: 1, prev: 0, data: { n: 1 } } });
    a.close();
    await alert(2);
    await alert(3);
    const b = await listen(gateway, "channel=alerts", { "last-event-id": first.id ?? "" });
    t.match(await b.next(), { event: "subscribed", data: { recovered: true, offset: 1 } });
    t.match([await b.next(), await b.next()], [{ data: { offset: 2, prev: 1 } }, { data: { offset: 3, prev: 2 } }]);
    const filter = encodeURIComponent('{"eq":["odd",false]}');
    const c = await listen(gateway, `channel=alerts.mine&filter=${filter}&flushMs=10&since=${first.id}`);
    t.match(await c.next(), { data: { recovered: true, flushMs: 10 } });
    t.match(await c.next(), { data: { channel: "alerts.mine", data: { n: 2 } } });
    for (const [query, status] of [
      ["channel=weather", 404],
      ["", 400],
      ["channel=alerts&filter=x", 400],
      ["channel=alerts&since=nonsense", 400],
      ["channel=alerts&delivery=fast", 400],
      ["channel=alerts&everyMs=often", 400],
    ] as const)
      t.equal((await listen(gateway, query)).status, status, query);
    t.equal((await listen(gateway, "channel=alerts", { authorization: "Bearer wrong-wrong-wrong" })).status, 401);
    t.equal((await listen(gateway, "channel=alerts", { origin: "https://evil.example" })).status, 403);
    const closing = gateway.close();
    t.match(await b.next(), { event: "close", data: { code: 1001, reason: /reconnect/ } });
    await t.rejects(b.next(), "and that was all");
    await closing;
    c.close();
  });

  t.test(`${transport}: a reader of events that stands still is told to come back`, { timeout: 60_000 }, async (t) => {
    const log = await newLog();
    const gateway = await start(transport, log);
    t.teardown(() => gateway.close());
    const probe = await client(`${gateway.url.replace("http", "ws")}/ws?key=${KEY}`);
    await ready(probe, { op: "subscribe", id: 1, channel: "alerts" });
    const slow = await listen(gateway, "channel=alerts");
    await slow.next();
    const body = Buffer.from(JSON.stringify({ text: "x".repeat(20_000) }));
    let sent = 0;
    while (!(await gateway.metrics()).includes('millrace_ws_closed_total{reason="slow"} 1') && sent < 5_000) {
      for (let i = 0; i < 20; i++, sent++) await log.publish({ subject: "alerts.0.mine", data: body });
      await probe.until(({ offset }) => offset === sent);
    }
    t.ok(sent < 5_000, `closed after ${sent} frames of 20 kB`);
    slow.close();
  });

  t.test(`${transport}: two gateways on one log: a client that moves misses nothing`, async (t) => {
    const log = await newLog();
    const gateways = [await start(transport, log), await start(transport, log)];
    t.teardown(() => Promise.all(gateways.map((gateway) => gateway.close())));
    const url = (i: number) => `${gateways[i]?.url.replace("http", "ws")}/ws?key=${KEY}`;
    for (const i of [0, 1]) await ready(await client(url(i)), { op: "subscribe", id: 1, channel: "alerts" });
    let since = { epoch: (await log.info("alerts")).incarnation, offset: 0 };
    const seen: number[] = [];
    for (let round = 0; round < 6; round++) {
      const c = await client(url(round % 2));
      c.send({ op: "subscribe", id: 1, channel: "alerts", since });
      t.match(await c.next(), { op: "subscribed", recovered: true, epoch: since.epoch });
      for (let i = 0; i < 5; i++) await log.publish({ subject: "alerts.0.mine", data: Buffer.from("{}") });
      for (let i = 0; i < 3; i++) seen.push((await c.next()).offset as number);
      c.ws.terminate();
      since = { ...since, offset: seen.at(-1) ?? 0 };
    }
    t.same(
      seen,
      Array.from({ length: 18 }, (_, i) => i + 1),
      "each once, in order",
    );
  });
}

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { decode, encode } from "@msgpack/msgpack";
import { Registry } from "prom-client";
import type { PolledChannel, StreamChannel } from "../../src/core/index.js";
import { createLogger } from "../../src/core/logger.js";
import { createAccess } from "../../src/ws/access/access.js";
import { ANONYMOUS, type Identity } from "../../src/ws/access/identity.js";
import type { Feed } from "../../src/ws/feed.js";
import { createHub, HUB_LIMITS, type Hub, type HubLimits } from "../../src/ws/hub.js";
import { logFeed } from "../../src/ws/log-feed.js";
import { createMetrics } from "../../src/ws/metrics.js";
import { stateFeed } from "../../src/ws/state-feed.js";
import { loopTopic, type WsListener, type WsSocket } from "../../src/ws/transport.js";
import { type MemoryLog, memoryLog } from "../support/memory-log.js";

const logger = createLogger("silent");
const access = createAccess({ localKey: "a-local-key", audit: { record() {} } });

const ALERTS: StreamChannel = {
  name: "alerts[.<domain>]",
  kind: "history",
  stream: "alerts",
  subject: "alerts.*.<domain>",
  delivery: "lossless",
  role: "viewer",
};
const STATS: PolledChannel = { name: "stats", kind: "polled", pollMs: 5, delivery: "lossless", role: "viewer" };
export const ALARMS: StreamChannel = {
  name: "alarms",
  kind: "state",
  stream: "alerts",
  subject: "alerts.*.*",
  key: "key",
  gone: { field: "state", is: "resolved" },
  delivery: "lossless",
  role: "viewer",
  presence: true,
};
export const FEATURES: StreamChannel = {
  name: "features.<pipeline>[.<key>]",
  kind: "history",
  stream: "features",
  subject: "features.*.<pipeline>.<key>",
  delivery: "latest",
  everyMs: 10,
  role: "viewer",
  reading: "demand",
};

/** The hub on a log in memory, with sockets made of arrays: every interleaving is ours. */
export async function setup(
  limits: Partial<HubLimits> = {},
  before: (log: MemoryLog) => Promise<void> = async () => {},
  more: readonly StreamChannel[] = [],
  wallMs: () => number = Date.now,
) {
  let made = 0;
  const log = memoryLog(() => `epoch-${++made}`);
  await log.ensureStream({ name: "alerts", subjects: ["alerts.>"], maxBytes: 1 });
  if (more.some(({ stream }) => stream === "features"))
    await log.ensureStream({ name: "features", subjects: ["features.>"], maxBytes: 1 });
  await before(log);
  const metrics = createMetrics(new Registry(), undefined, logger);
  const state = { value: 0 };
  const maxBufferedBytes = limits.maxBufferedBytes ?? HUB_LIMITS.maxBufferedBytes;
  const shared = { metrics, logger, maxBufferedBytes, topics: loopTopic };
  const feeds: readonly Feed[] = [
    logFeed({ ...shared, declaration: ALERTS, log }),
    stateFeed({ ...shared, declaration: STATS, read: () => ({ value: ++state.value }) }),
    ...more.map((declaration) => logFeed({ ...shared, declaration, log })),
  ];
  const hub = createHub({ feeds, limits: { ...HUB_LIMITS, drainMs: 0, ...limits }, metrics, logger, access, wallMs });
  await settle();
  return {
    log,
    metrics,
    state,
    hub,
    connect: (protocol?: string, identity: Identity = ANONYMOUS) => fakeClient(hub, protocol, identity),
    async close() {
      await hub.close(0);
      for (const feed of feeds) await feed.close();
      metrics.close();
    },
    alert: (n: number, more: object = {}) =>
      log.publish({ subject: "alerts.0.mine", data: Buffer.from(JSON.stringify({ n, ...more })) }),
    mark: () => log.publish({ subject: "alerts._at.task", data: Buffer.from("{}") }),
  };
}

export interface FakeClient {
  readonly frames: Record<string, unknown>[];
  readonly ends: { code: number; reason: string }[];
  /** Bytes the kernel has not taken. */
  waiting: number;
  /** While true, what is sent stays waiting. */
  stalled: boolean;
  say(frame: unknown): void;
  listener: WsListener;
}

function fakeClient(hub: Hub, protocol: string | undefined, identity: Identity): FakeClient {
  const binary = protocol === "millrace.v1.msgpack";
  const client: FakeClient = {
    frames: [],
    ends: [],
    waiting: 0,
    stalled: false,
    say(frame) {
      if (binary) client.listener.message(encode(frame));
      else client.listener.message(typeof frame === "string" ? frame : JSON.stringify(frame));
    },
    listener: undefined as unknown as WsListener,
  };
  const socket: WsSocket = {
    protocol,
    send(frame) {
      client.frames.push(
        (binary ? decode(frame) : JSON.parse(Buffer.from(frame).toString())) as Record<string, unknown>,
      );
      if (client.stalled) client.waiting += frame.byteLength;
    },
    cork: (work) => work(),
    bufferedBytes: () => client.waiting,
    close(code, reason) {
      client.ends.push({ code, reason });
      client.listener.close(code);
    },
    terminate: () => client.listener.close(1006),
  };
  client.listener = hub.open(socket, { identity, address: "127.0.0.1", left() {} });
  return client;
}

/** Lets everything that waits for no timer happen. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

export const numbers = (client: FakeClient) =>
  client.frames.filter(({ op }) => op === "event").map(({ data }) => (data as { n: number }).n);

/** Every `prev` is the offset of the frame before, from the answer on. */
export function assertChain(client: FakeClient): void {
  let last: unknown;
  for (const frame of client.frames) {
    if (frame.op === "subscribed") last = frame.offset;
    if (frame.op !== "event") continue;
    assert.equal(frame.prev, last);
    assert.ok((frame.offset as number) > (frame.prev as number));
    last = frame.offset;
  }
}

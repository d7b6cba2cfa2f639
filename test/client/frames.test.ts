import type { Filter, SubscribeOptions } from "millrace-client";
import t from "tap";
import type { ServerFrame, SubscribeFrame } from "../../packages/client/src/frames.js";
import type * as gateway from "../../src/ws/index.js";
import { clientFrameSchema } from "../../src/ws/protocol.js";

/** Compiles only if the client can read everything the gateway answers it, and is understood in everything it says. */
const heard: (frame: Exclude<gateway.ServerFrame, { op: "pong" }>) => ServerFrame = (frame) => frame;

t.test("the client and the gateway speak of the same things", async (t) => {
  t.equal(heard({ op: "drain", withinMs: 1 }).op, "drain");
  const filter: Filter = { and: [{ in: ["key", ["a", 1, null]] }, { not: { range: ["score", { gte: 0.5 }] } }] };
  const all: Required<Omit<SubscribeOptions, "buffer">> = {
    filter,
    delivery: "latest",
    everyMs: 250,
    flushMs: 10,
    presence: true,
    since: { epoch: "e", offset: 3 },
  };
  const frame: SubscribeFrame = { op: "subscribe", id: 1, channel: "alerts", ...all };
  t.same(clientFrameSchema.parse(frame), frame);
});

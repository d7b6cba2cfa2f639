import t from "tap";
import type { ClientFrame, QueryAnswer, ServerFrame } from "../../dashboards/wall/wire.js";
import type * as gateway from "../../src/ws/index.js";

type Sent =
  | Exclude<gateway.ServerFrame, { op: "event" }>
  | { [Name in gateway.ChannelName]: gateway.EventFrame<Name> }[gateway.ChannelName];

/** Compiles only if everything the gateway sends can be read by the page, and everything the page sends is understood. */
const heard: (frame: Sent) => ServerFrame = (frame) => frame;
const answered: (answer: gateway.QueryAnswer) => QueryAnswer = (answer) => answer;
const said: (frame: ClientFrame) => gateway.ClientFrame = (frame) => frame;

t.test("the page and the gateway speak of the same things", async (t) => {
  t.same(said({ op: "subscribe", id: 1, channel: "alerts", since: 3, epoch: "e" }).op, "subscribe");
  t.same(heard({ op: "error", id: null, code: "unavailable", message: "" }), {
    op: "error",
    id: null,
    code: "unavailable",
    message: "",
  });
  t.same(answered({ columns: [], rows: [], truncated: false, elapsedMs: 0 }).rows, []);
});

import t from "tap";
import type * as page from "../../dashboards/wall/wire.js";
import type * as gateway from "../../src/ws/index.js";

/** Compiles only if what the gateway sends can be read by the page. */
const alert: (data: gateway.ChannelData["alerts"]) => page.Alert = (data) => data;
const plan: (data: gateway.ChannelData["plans"]) => page.Plan = (data) => data;
const stats: (data: gateway.ChannelData["stats"]) => page.Stats = (data) => data;
const answered: (answer: gateway.QueryAnswer) => page.QueryAnswer = (answer) => answer;

t.test("the page and the gateway speak of the same things", async (t) => {
  t.same(answered({ columns: [], rows: [], truncated: false, elapsedMs: 0 }).rows, []);
  t.same([alert, plan, stats].length, 3);
});

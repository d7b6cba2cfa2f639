import t from "tap";
import { type Alert, HOUR_MS, MINUTE_MS, type Notice, type NoticeOutcome, SECOND_MS } from "../../../src/core/index.js";
import {
  DEFAULT_POLICY,
  parseMatcher,
  parseTimeSpan,
  type Route,
  type Routing,
  TestKit,
  WALL_ONLY,
} from "../../../src/operators/index.js";
import { desk as topology } from "../../../src/pipelines/alarms/desk.js";
import { alertOf, commandOf, START_MS } from "./support.js";

const PACE = { waitMs: 30 * SECOND_MS, intervalMs: 5 * MINUTE_MS, repeatMs: 4 * HOUR_MS };
const match = (...texts: string[]) => texts.map(parseMatcher);
const route = (of: Partial<Route>): Route => ({ ...WALL_ONLY.route, ...PACE, receivers: ["ops"], ...of });

/** The whole desk with a routing, at START_MS; times in seconds after it. */
function deskWith(routing: Partial<Routing>) {
  const kit = new TestKit(topology);
  let nowMs = START_MS;
  let sent = 0;
  const send = (what: string, record: object) => kit.message(JSON.stringify(record), {}, what);
  const desk = {
    kit,
    routing: (of: Partial<Routing>) => {
      kit.control("routing", { schema: "millrace.routing/1", routing: { ...WALL_ONLY, ...of } });
      return desk;
    },
    alert: (of: Partial<Alert> = {}) => {
      send("alert.sensor", alertOf({ revision: ++sent, atMs: nowMs + sent, ...of }));
      return desk;
    },
    command: (...of: Parameters<typeof commandOf>) => {
      send("command.x", commandOf(...of));
      return desk;
    },
    outcome: (notice: Notice | undefined, result: NoticeOutcome["result"]) => {
      send("outcome.ops", {
        kind: "notice-outcome",
        receiver: notice?.receiver,
        key: notice?.key,
        group: notice?.group,
        result,
      });
      return desk;
    },
    tick: (seconds: number) => {
      nowMs = START_MS + seconds * SECOND_MS;
      kit.tick(nowMs);
      return desk;
    },
    notices: () => kit.take().flatMap(({ stream, record }) => (stream === "notify" ? [record as Notice] : [])),
    said: () => desk.notices().map(inShort),
  };
  kit.cutAlways = true;
  return desk.routing(routing).tick(0);
}

const inShort = ({ ts, receiver, status, alerts, omitted, note }: Notice): string =>
  `+${(Date.parse(ts) - START_MS) / SECOND_MS} ${receiver} ${status} ${alerts.map(({ fingerprint }) => fingerprint).join(",")}${omitted > 0 ? `+${omitted}` : ""}${note === "" ? "" : ` ${note}`}`;

t.test(
  "groups: wait for company, news at the interval, repeat while nobody took note, resolved at the end",
  async (t) => {
    const desk = deskWith({ route: route({}) })
      .alert()
      .tick(10)
      .alert({ fingerprint: "f2", severity: "critical" })
      .tick(29);
    t.same(desk.said(), []);
    t.same(desk.tick(30).said(), ["+30 ops firing f2,f1"], "one notice, the gravest first");
    desk.tick(40).alert({ fingerprint: "f3" }).tick(329);
    t.same(desk.said(), []);
    t.same(desk.tick(330).said(), ["+330 ops firing f2,f3,f1"]);
    t.same(desk.tick(330 + 14_400).said(), ["+14730 ops firing f2,f3,f1 still firing"]);
    for (const target of ["f1", "f2", "f3"]) desk.command("ack", { target });
    t.same(desk.tick(40_000).said(), [], "taken note of: no repeats");
    desk.alert({ state: "resolved" }).alert({ fingerprint: "f2", state: "resolved" }).tick(40_001);
    t.same(desk.said(), ["+40000 ops firing f3"], "what is left");
    t.same(desk.alert({ fingerprint: "f3", state: "resolved" }).tick(40_031).said(), ["+40030 ops resolved f3"]);
    t.same(desk.tick(100_000).said(), []);
  },
);

t.test("other groups of the same receiver are told by themselves", async (t) => {
  const desk = deskWith({ route: route({ groupBy: ["site"] }) })
    .alert()
    .alert({ fingerprint: "f2", key: "south/oven" });
  const notices = desk.tick(30).notices();
  t.same(notices.map(({ labels }) => labels["site"]).sort(), ["north", "south"]);
  t.equal(new Set(notices.map(({ key }) => key)).size, 2);
  t.equal(new Set(notices.map(({ group }) => group)).size, 2);
});

t.test("resolved always follows a firing notice that arrived or may have, and no other", async (t) => {
  const over = { state: "resolved" } as const;
  t.same(
    deskWith({ route: route({}) })
      .alert()
      .alert(over)
      .tick(60)
      .said(),
    [],
    "over before anybody was told",
  );
  const asked = deskWith({ route: route({}) })
    .alert()
    .tick(30)
    .alert(over)
    .tick(90);
  t.same(asked.said(), ["+30 ops firing f1", "+60 ops resolved f1"]);
  for (const [result, resolved] of [
    ["delivered", true],
    ["superseded", true],
    ["dead", false],
  ] as const) {
    const desk = deskWith({ route: route({}) })
      .alert()
      .tick(30);
    desk.outcome(desk.notices()[0], result).alert(over).tick(90);
    t.equal(desk.said().length === 1, resolved, `after a firing notice that was ${result}`);
  }
  const rerouted = deskWith({ route: route({}) })
    .alert()
    .tick(30);
  rerouted.notices();
  rerouted.routing({ route: route({ receivers: ["others"] }) }).tick(60);
  t.same(rerouted.said(), ["+60 others firing f1"]);
  t.same(rerouted.alert(over).tick(120).said(), ["+60 ops resolved f1", "+90 others resolved f1"]);
});

t.test("the tree: the first route that fits, further ones after `continue`, the deepest each", async (t) => {
  const tree = route({
    routes: [
      route({ path: "0.0", match: match("severity = critical"), receivers: ["duty"], goOn: true, waitMs: 0 }),
      route({
        path: "0.1",
        match: match('rule =~ "ho.*"'),
        receivers: ["ovens"],
        routes: [route({ path: "0.1.0", match: match("site != north"), receivers: ["south"] })],
      }),
      route({ path: "0.2", receivers: ["rest"] }),
    ],
  });
  const told = (of: Partial<Alert>) =>
    deskWith({ route: tree })
      .alert(of)
      .tick(60)
      .notices()
      .map(({ receiver }) => receiver)
      .sort();
  t.same(told({}), ["ovens"]);
  t.same(told({ key: "south/oven" }), ["south"]);
  t.same(told({ severity: "critical" }), ["duty", "ovens"]);
  t.same(told({ rule: "cold" }), ["rest"]);
  t.same(told({ severity: "info", rule: "cold" }), ["rest"], "events are told of too, where a route says so");
});

t.test("silences, mute times and inhibition keep back; what remains is said after them", async (t) => {
  const silence = {
    match: match("site = north"),
    fromMs: null,
    untilMs: START_MS + MINUTE_MS,
    spans: [],
    reason: "works",
  };
  const silenced = deskWith({ route: route({}), silences: [silence] })
    .alert()
    .alert({ fingerprint: "f2", key: "south/x" });
  t.same(silenced.tick(330).said(), ["+30 ops firing f2", "+330 ops firing f1"]);
  const mute = [parseTimeSpan("mon 09:00-09:10 Europe/Madrid")]; // START_MS is Monday 09:00 in Madrid
  t.same(
    deskWith({ route: route({ mute }) })
      .alert()
      .tick(1000)
      .said(),
    ["+630 ops firing f1"],
  );
  const inhibitions = [{ source: match("rule = power"), target: match("rule = hot"), equal: ["site"] }];
  const desk = deskWith({ route: route({}), inhibitions });
  desk.alert().alert({ fingerprint: "f2", rule: "power" }).alert({ fingerprint: "f3", key: "south/x" }).tick(100);
  t.same(desk.said(), ["+30 ops firing f3", "+30 ops firing f2"], "same site only");
  desk.alert({ fingerprint: "f2", rule: "power", state: "resolved" }).tick(330);
  t.same(desk.said(), ["+100 ops resolved f2", "+330 ops firing f1"], "no longer inhibited");
});

t.test("hidden by an operator: over for the receivers, firing again when it comes back", async (t) => {
  const desk = deskWith({ route: route({}) })
    .alert()
    .tick(30)
    .command("shelve", { args: { minutes: 10 } })
    .tick(629);
  t.same(desk.said(), ["+30 ops firing f1", "+60 ops resolved f1"]);
  t.same(desk.tick(700).said(), ["+660 ops firing f1"]);
});

t.test("escalation: by time while nobody takes note, or at once when asked", async (t) => {
  const escalate = [
    { afterMs: 15 * MINUTE_MS, receivers: ["duty"] },
    { afterMs: 30 * MINUTE_MS, receivers: ["boss"] },
  ];
  const routing = { route: route({ escalate }) };
  t.same(deskWith(routing).alert().tick(2000).said(), [
    "+30 ops firing f1",
    "+900 duty firing f1 escalated: nobody has taken note",
    "+1800 boss firing f1 escalated: nobody has taken note",
  ]);
  const taken = deskWith(routing).alert().tick(60).command("ack").tick(3000);
  t.same(taken.said(), ["+30 ops firing f1"]);
  const back = taken.command("unack").tick(3899);
  t.same(back.said(), []);
  t.same(back.tick(3900).said(), ["+3900 duty firing f1 escalated: nobody has taken note"]);
  const asked = deskWith(routing).alert().tick(60).command("escalate").tick(1000);
  t.same(
    asked.said().slice(1),
    ["+60 duty firing f1 escalated: nobody has taken note"],
    "and not once more at its time",
  );
  t.same(asked.alert({ state: "resolved" }).tick(1100).said(), ["+1000 duty resolved f1", "+1000 ops resolved f1"]);
});

t.test("500 alerts in 10 s become one digest per receiver", async (t) => {
  const groupBy = ["fingerprint"];
  const desk = deskWith({ route: route({ groupBy, receivers: ["ops", "duty"] }) });
  desk.kit.cutAlways = false; // a thousand messages, each cut, take minutes
  for (let i = 0; i < 500; i++) {
    if (i % 50 === 0) desk.tick(i / 50 + 1);
    desk.alert({ fingerprint: `f${i}`, severity: i === 400 ? "critical" : "warning" });
  }
  const notices = desk.tick(599).notices();
  t.same(notices.map(({ receiver, status, alerts, omitted }) => [receiver, status, alerts.length, omitted]).sort(), [
    ["duty", "digest", 20, 480],
    ["ops", "digest", 20, 480],
  ]);
  t.equal(notices[0]?.alerts[0]?.fingerprint, "f400", "the gravest first");
  desk.tick(700).alert({ fingerprint: "g1" });
  t.same(desk.tick(2000).said().sort(), ["+730 duty firing g1", "+730 ops firing g1"], "calm again: told by itself");
  for (let i = 0; i < 500; i++) desk.alert({ fingerprint: `f${i}`, state: "resolved" });
  t.same(
    desk
      .tick(3000)
      .notices()
      .map(({ status, omitted }) => [status, omitted]),
    [
      ["resolved", 480],
      ["resolved", 480],
    ],
  );
});

t.test("policies of the routing reach the alarms", async (t) => {
  const policies = [{ ...DEFAULT_POLICY, match: match("rule = hot"), onDelayMs: MINUTE_MS }];
  t.same(
    deskWith({ route: route({}), policies })
      .alert()
      .tick(1000)
      .said(),
    ["+90 ops firing f1"],
  );
});

import t from "tap";
import { type Alarm, type Alert, MINUTE_MS, type OperatorCommand, SECOND_MS } from "../../../src/core/index.js";
import { alarmLife, type LifeNews } from "../../../src/operators/alerts/life.js";
import { type AlarmPolicy, DEFAULT_POLICY } from "../../../src/operators/alerts/routing.js";
import { pipeline, type Sent, TestKit, testSource, testTarget } from "../../../src/operators/index.js";
import { alertOf, commandOf, livesOf, START_MS } from "./support.js";

/** An alarm desk with one policy, at START_MS. `tick` moves desk time by so many seconds after the start. */
function deskWith(policy: Partial<AlarmPolicy> = {}) {
  const topology = pipeline("life");
  topology
    .from(testSource<LifeNews>({ timing: { idleAfterMs: 0 } }))
    .map(({ value }: Sent<LifeNews>) => value)
    .keyBy((news) => (news.kind === "alert" ? news.alert.fingerprint : news.command.target))
    .process("life", alarmLife)
    .to(testTarget());
  const kit = new TestKit<LifeNews>(topology);
  kit.cutAlways = true;
  kit.watermark(START_MS);
  const desk = {
    kit,
    alert: (of: Partial<Alert> & { atMs?: number }) => {
      kit.event(START_MS, { kind: "alert", alert: alertOf(of), policy: { ...DEFAULT_POLICY, ...policy } });
      return desk;
    },
    command: (name: OperatorCommand["command"], of: Partial<OperatorCommand> = {}) => {
      kit.event(START_MS, { kind: "command", command: commandOf(name, of) });
      return desk;
    },
    tick: (seconds: number) => {
      kit.watermark(START_MS + seconds * SECOND_MS);
      return desk;
    },
    lives: () => livesOf(kit.rows<Alarm>()),
    last: () => kit.rows<Alarm>().at(-1) as Alarm,
  };
  return desk;
}

const later = (revision: number, state: Alert["state"] = "resolved") => ({
  revision,
  state,
  atMs: START_MS + revision * SECOND_MS,
});

t.test("the life of an alarm: raised, taken note of, over", async (t) => {
  const desk = deskWith().alert({}).command("ack").alert(later(2));
  t.same(desk.lives(), ["raise -> unacknowledged", "ack -> acknowledged", "clear -> normal"]);
  t.match(desk.last(), {
    schema: "millrace.alarm/1",
    revision: 3,
    active: false,
    priority: "medium",
    retracted: false,
  });
  t.match(desk.last().trail[1], {
    by: "ana",
    role: "operator",
    reason: "because",
    from: "unacknowledged",
    to: "acknowledged",
  });
  t.equal(desk.last().alert.revision, 2);
});

t.test("over before anybody took note, then again, then taken note of", async (t) => {
  const desk = deskWith().alert({}).alert(later(2)).alert(later(3, "firing")).alert(later(4)).command("ack");
  t.same(desk.lives(), [
    "raise -> unacknowledged",
    "clear -> returned-unacknowledged",
    "raise -> unacknowledged",
    "clear -> returned-unacknowledged",
    "ack -> normal",
  ]);
});

t.test("an event asks nobody for anything; what gets graver does", async (t) => {
  const desk = deskWith().alert({ severity: "info" });
  desk
    .alert({ ...later(2, "firing"), severity: "warning" })
    .command("ack")
    .alert({ ...later(3, "firing"), severity: "critical" });
  t.same(desk.lives(), [
    "raise -> acknowledged",
    "worsen -> unacknowledged",
    "ack -> acknowledged",
    "worsen -> unacknowledged",
  ]);
  t.equal(desk.last().priority, "high");
});

t.test("an alert that was heard before, or is older, changes nothing", async (t) => {
  const desk = deskWith()
    .alert({ revision: 2, atMs: START_MS + 5 })
    .alert({ revision: 2, atMs: START_MS + 5 })
    .alert({});
  t.same(desk.lives(), ["raise -> unacknowledged"]);
});

t.test("two operators at once: one agreed state, both in the trail", async (t) => {
  const orders = [
    ["ana", "ben"],
    ["ben", "ana"],
  ] as const;
  for (const [first, second] of orders) {
    const desk = deskWith().alert({});
    desk.command("ack", { by: first, reason: "seen" }).command("ack", { by: second, reason: "seen too" });
    t.equal(desk.last().state, "acknowledged");
    t.same(
      desk
        .last()
        .trail.slice(1)
        .map(({ by, refused, reason }) => [by, refused, reason]),
      [
        [first, false, "seen"],
        [second, true, "seen too"],
      ],
    );
  }
  const shelved = deskWith()
    .alert({})
    .command("shelve", { by: "ana", args: { minutes: 5 } })
    .command("ack", { by: "ben" });
  t.same(shelved.lives(), ["raise -> unacknowledged", "shelve -> shelved", "ack -> shelved refused"]);
  t.equal(shelved.last().trail.at(-1)?.detail, "not possible while shelved");
});

t.test("a shelf is over by the tick, and what is there then is as it is", async (t) => {
  const desk = deskWith()
    .alert({})
    .command("shelve", { args: { minutes: 2 } });
  t.equal(desk.last().shelvedUntil, "2026-11-16T08:02:00.000Z");
  desk.tick(119);
  t.equal(desk.last().state, "shelved");
  desk.tick(120);
  t.equal(desk.last().state, "unacknowledged");
  t.equal(desk.last().shelvedUntil, null);
  desk
    .command("shelve", { args: { minutes: 1 } })
    .alert(later(2))
    .tick(180);
  t.same(desk.lives().slice(-3), ["shelve -> shelved", "clear -> shelved", "shelf-expired -> normal"]);
  desk
    .alert(later(3, "firing"))
    .command("shelve", { args: { minutes: 1 } })
    .command("shelve", { args: { minutes: 10 } });
  desk.tick(240);
  t.equal(desk.last().state, "shelved", "shelved again: the later end counts");
  desk.command("unshelve");
  t.equal(desk.last().state, "unacknowledged");
  desk.tick(1000);
  t.equal(desk.last().cause, "unshelve", "the former end means nothing any more");
  t.same(
    deskWith()
      .alert({})
      .command("shelve", { args: { minutes: 1e6 } })
      .lives()
      .at(-1),
    "shelve -> unacknowledged refused",
  );
});

t.test("suppressed by design, out of service, and back", async (t) => {
  const desk = deskWith().alert({}).command("suppress").alert(later(2)).command("unsuppress");
  t.same(desk.lives().slice(1), ["suppress -> suppressed", "clear -> suppressed", "unsuppress -> normal"]);
  desk
    .command("suppress", { args: { outOfService: true } })
    .alert(later(3, "firing"))
    .command("unsuppress");
  t.same(desk.lives().slice(4), [
    "suppress -> out-of-service",
    "raise -> out-of-service",
    "unsuppress -> unacknowledged",
  ]);
});

t.test("delays: what comes and goes within them is written down and shown to nobody", async (t) => {
  const desk = deskWith({ onDelayMs: 10 * SECOND_MS, offDelayMs: 20 * SECOND_MS });
  desk.alert({}).alert(later(2)).tick(30);
  t.same(desk.lives(), ["news -> normal", "news -> normal"]);
  desk.alert(later(3, "firing")).tick(39);
  t.equal(desk.last().state, "normal");
  desk.tick(40);
  t.equal(desk.last().cause, "raise");
  desk.alert(later(4)).tick(59);
  t.equal(desk.last().active, true);
  desk.alert(later(5, "firing")).tick(100);
  t.equal(desk.last().state, "unacknowledged", "back within the off-delay");
  desk.alert(later(6)).tick(120);
  t.same(desk.lives().slice(-2), ["news -> unacknowledged", "clear -> returned-unacknowledged"]);
});

t.test("deadband on the score", async (t) => {
  const desk = deskWith({ deadband: { raiseAt: 3, clearBelow: 2 } });
  const scores = [2.5, 3, 2.5, 2, 1.9, 2.5, 3];
  scores.forEach((score, i) => {
    desk.alert({ ...later(i + 1, "firing"), score });
  });
  t.same(
    desk.lives().map((life, i) => `${scores[i]}: ${life}`),
    [
      "2.5: news -> normal",
      "3: raise -> unacknowledged",
      "2.5: news -> unacknowledged",
      "2: news -> unacknowledged",
      "1.9: clear -> returned-unacknowledged",
      "2.5: news -> returned-unacknowledged",
      "3: raise -> unacknowledged",
    ],
  );
});

t.test("re-alarm, latch and retraction", async (t) => {
  const again = deskWith({ reAlarmMs: MINUTE_MS }).alert({}).command("ack").tick(59);
  t.equal(again.last().state, "acknowledged");
  t.equal(again.tick(60).last().cause, "re-alarm");
  t.equal(
    again
      .command("ack")
      .tick(90)
      .command("comment", { args: { text: "parts ordered" } })
      .tick(119)
      .last().cause,
    "comment",
  );
  t.equal(again.tick(120).last().state, "unacknowledged", "a comment does not put it off");
  const latching = deskWith({ latch: true }).alert({}).command("ack").alert(later(2)).command("reset");
  t.same(latching.lives().slice(2), ["clear -> latched", "reset -> normal"]);
  const wrong = deskWith().alert({}).alert(later(2, "retracted"));
  t.match(wrong.last(), { state: "normal", cause: "retract", retracted: true, active: false });
});

t.test("assign, comment, escalate; a command about nothing is set aside", async (t) => {
  const desk = deskWith()
    .alert({})
    .command("assign", { args: { to: "ben" } })
    .command("escalate");
  t.equal(desk.last().assignee, "ben");
  t.same(desk.lives().slice(1), ["assign -> unacknowledged", "escalate -> unacknowledged"]);
  desk.command("comment").command("ack").command("escalate");
  t.same(desk.lives().slice(3), [
    "comment -> unacknowledged refused",
    "ack -> acknowledged",
    "escalate -> acknowledged refused",
  ]);
  desk.command("ack", { target: "nobody" });
  t.match(desk.kit.dead(), [{ reason: /there is no alarm nobody/ }]);
});

t.test("equal after a replay: records and state, whatever the cuts", async (t) => {
  const play = (cutAlways: boolean) => {
    const desk = deskWith({ onDelayMs: SECOND_MS, reAlarmMs: MINUTE_MS });
    desk.kit.cutAlways = cutAlways;
    desk
      .alert({})
      .tick(1)
      .command("ack", { id: "1" })
      .tick(61)
      .command("shelve", { id: "2", args: { minutes: 1 } })
      .tick(121);
    desk.alert(later(2)).command("ack", { id: "3" }).tick(300);
    return [JSON.stringify(desk.kit.rows()), Buffer.from(desk.kit.save()).toString("hex")];
  };
  t.same(play(true), play(false));
});

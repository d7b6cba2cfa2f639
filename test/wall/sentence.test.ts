import t from "tap";
import { progress01, type SentenceInput, sentence } from "../../dashboards/wall/sentence.js";
import { statsAt } from "./scene.js";

const NOW = 1_000_000;
const input = (change: Partial<SentenceInput> = {}): SentenceInput => ({
  connection: { kind: "open" },
  stats: statsAt(0.42),
  statsAtMs: NOW - 1_000,
  nowMs: NOW,
  alerts: { open: 3, total: 12 },
  savedRatio01: 0.063,
  ...change,
});
const said = (change: Partial<SentenceInput> = {}) => {
  const { tone, head, rest } = sentence(input(change));
  return `${tone}: ${head} ${rest}`.replaceAll("\u202f", " ").trim();
};
const noReplay = { ...statsAt(0.42), replay: { done: false, sent: 0, total: 0, clock: null } };
const nothing = { received: 0, stored: 0, duplicates: 0, deadLettered: 0 };

t.test("every state has its sentence", async (t) => {
  const table: readonly (readonly [Partial<SentenceInput>, string])[] = [
    [{}, "busy: Playing the sample: 42 %. 12 alerts, 3 open, the plan saves 6.3 % diesel."],
    [{ savedRatio01: undefined }, "busy: Playing the sample: 42 %. 12 alerts, 3 open."],
    [
      { savedRatio01: -0.01 },
      "busy: Playing the sample: 42 %. 12 alerts, 3 open, the plan in force is as good as it gets.",
    ],
    [
      { alerts: { open: 0, total: 1 } },
      "busy: Playing the sample: 42 %. 1 alert, all resolved, the plan saves 6.3 % diesel.",
    ],
    [
      { alerts: { open: 0, total: 0 }, savedRatio01: undefined },
      "busy: Playing the sample: 42 %. Nothing unusual yet.",
    ],
    [{ stats: statsAt(1) }, "good: The sample has been played. 12 alerts, 3 open, the plan saves 6.3 % diesel."],
    [{ stats: noReplay, savedRatio01: undefined }, "good: Live. 29,655 events so far. 12 alerts, 3 open."],
    [{ stats: { ...noReplay, github: nothing, telemetry: nothing } }, "good: Live. No event so far."],
    [{ stats: undefined, connection: { kind: "connecting" } }, "busy: Connecting …"],
    [
      { stats: undefined, connection: { kind: "waiting", retryAtMs: NOW + 2_100 } },
      "bad: Nobody answers. Is npm start still running? Trying again in 3 s.",
    ],
    [
      { connection: { kind: "waiting", retryAtMs: NOW + 900 }, statsAtMs: NOW - 120_000 },
      "bad: Connection lost. What you see is 2 min old. Trying again in 1 s.",
    ],
    [{ connection: { kind: "connecting" } }, "bad: Connection lost. What you see is no longer live. Trying again now."],
    [{ connection: { kind: "no-key" } }, "bad: No key. Open the address that npm start printed: it ends in ?key=…"],
    [
      { connection: { kind: "refused" } },
      "bad: The key is not accepted. Open the address that npm start printed last.",
    ],
  ];
  for (const [change, text] of table) t.equal(said(change), text);
});

t.test("progress reaches 1 only when the replay says that it is done", async (t) => {
  const stats = statsAt(0.5);
  t.equal(progress01({ ...stats, replay: { ...stats.replay, sent: stats.replay.total } }), 0.99);
  t.equal(progress01(statsAt(1)), 1);
  t.equal(progress01(noReplay), 0);
});

import t from "tap";
import { type AlarmLayer, alarmLayer } from "../src/index.js";
import { Inputs } from "./inputs.js";

const MINUTE = 60_000;

/** What is said while scores arrive once a minute, as "minute kind incident severity". */
function told(layer: AlarmLayer, scores: (number | undefined)[], from = 0): string[] {
  return scores.flatMap((score, i) => {
    const event = layer.update(score, (from + i) * MINUTE);
    return event === undefined ? [] : [`${from + i} ${event.kind} ${event.incident} ${event.severity}`];
  });
}
const quiet = (minutes: number) => Array.from({ length: minutes }, () => 0.1);

t.test("one alarm per incident: opened, raised when more severe, closed after the quiet time", async (t) => {
  const layer = alarmLayer({ quietMs: 5 * MINUTE });
  const scores = [0.1, 0.5, 0.6, 0.65, 0.2, 0.9, 0.8, 0.95, ...quiet(7)];
  t.same(told(layer, scores), ["2 opened 1 0", "5 raised 1 2", "12 closed 1 2"]);
});

t.test("edges: 0.5 is no alarm; clear holds an incident open; the end is after quietMs, not before", async (t) => {
  t.same(told(alarmLayer(), [0.5, 0.5]), []);
  const layer = alarmLayer({ quietMs: 3 * MINUTE, clear: 0.3 });
  t.same(told(layer, [0.6, 0.4, 0.4, 0.4, 0.4, 0.3, 0.3, 0.3]), ["0 opened 1 0", "7 closed 1 0"]);
  const strict = alarmLayer({ quietMs: 0 });
  t.same(told(strict, [0.6, 0.4, 0.6]), ["0 opened 1 0", "1 closed 1 0", "2 opened 2 0"]);
});

t.test("a flagged row soon after the end reopens the incident in silence, a later one is new", async (t) => {
  const layer = alarmLayer({ quietMs: 4 * MINUTE });
  const scores = [0.6, ...quiet(5), 0.6, ...quiet(9), 0.6];
  t.same(told(layer, scores), ["0 opened 1 0", "4 closed 1 0", "10 closed 1 0", "16 opened 2 0"]);
});

t.test("warming up and missing scores keep time; time stepping back is held", async (t) => {
  const layer = alarmLayer({ quietMs: 2 * MINUTE });
  t.same(told(layer, [0.6, undefined, undefined]), ["0 opened 1 0", "2 closed 1 0"]);
  t.equal(layer.update(0.9, -5 * MINUTE)?.kind, "raised", "counts as now: within the quiet time");
});

t.test("the budget: at most so many new incidents in any 24 hours, the others counted", async (t) => {
  const layer = alarmLayer({ quietMs: MINUTE, budgetPerDay: 3 });
  const inputs = new Inputs(4);
  const opened: number[] = [];
  for (let minute = 0; minute < 20_000; minute++) {
    const event = layer.update(inputs.below(100) === 0 ? 0.8 : 0.1, minute * MINUTE);
    if (event?.kind === "opened") opened.push(minute);
  }
  for (let i = 3; i < opened.length; i++)
    if ((opened[i] as number) - (opened[i - 3] as number) < 1440) t.fail(`four in a day at minute ${opened[i]}`);
  t.ok(opened.length >= 36, `${opened.length} opened`);
  t.ok(layer.suppressed > 50, `${layer.suppressed} suppressed`);
});

t.test("feedback: a false alarm raises the boundary towards its peak, a right one lowers it again", async (t) => {
  const layer = alarmLayer({ quietMs: 0 });
  told(layer, [0.7, 0.1]);
  t.equal(layer.markFalse(1), true);
  t.ok(Math.abs(layer.boundary - 0.6) < 1e-12);
  t.same(told(layer, [0.58, 0.1], 10), [], "as small again: silence");
  t.same(told(layer, [0.65, 0.1], 20), ["20 opened 2 0", "21 closed 2 0"]);
  t.equal(layer.markTrue(2), true);
  t.ok(Math.abs(layer.boundary - 0.55) < 1e-12);
  t.equal(layer.markFalse(9), false);
  t.equal(layer.markTrue(0), false);
});

t.test("save and load at any point change nothing", async (t) => {
  const options = { quietMs: 3 * MINUTE, budgetPerDay: 5, severities: [0.6, 0.8] };
  const inputs = new Inputs(8);
  const through = alarmLayer(options);
  let restarted = alarmLayer(options);
  for (let minute = 0; minute < 4000; minute++) {
    const bytes = restarted.save();
    restarted = alarmLayer(options);
    restarted.load(bytes);
    if (Buffer.compare(bytes, restarted.save()) !== 0) t.fail(`bytes change at ${minute}`);
    const score = inputs.below(20) === 0 ? 0.5 + inputs.below(500) / 1000 : inputs.below(9) === 0 ? undefined : 0.2;
    const [a, b] = [through.update(score, minute * MINUTE), restarted.update(score, minute * MINUTE)];
    if (JSON.stringify(a) !== JSON.stringify(b)) t.fail(`minute ${minute} differs`);
    if (a?.kind === "closed" && a.incident % 3 === 0)
      t.equal(through.markFalse(a.incident), restarted.markFalse(a.incident));
  }
  t.equal(through.boundary, restarted.boundary);
  t.ok(through.boundary > 0.5);
});

t.test("refusals", async (t) => {
  t.throws(() => alarmLayer({ clear: 0.6 }), { code: "AD_OPTION_INVALID" });
  t.throws(() => alarmLayer({ severities: [0.8, 0.7] }), { code: "AD_OPTION_INVALID" });
  t.throws(() => alarmLayer({ severities: [0.5] }), { code: "AD_OPTION_INVALID" });
  t.throws(() => alarmLayer({ budgetPerDay: 0 }), { code: "AD_OPTION_INVALID" });
});

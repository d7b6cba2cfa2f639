import t from "tap";
import { MINUTE_MS, type Output, type PlanRequest } from "../../../src/core/index.js";
import { lastHour, shovelWatch } from "../../../src/operators/index.js";
import { planner } from "../../../src/pipelines/mine/planner.js";

const WATCH = { leastSilenceMs: 1, gaps: 1, leastLoads: 1, recentMs: 1, maxSites: 1 };

function world(trips = 30) {
  const hour = lastHour({ maxSites: 2 });
  for (let i = 0; i <= trips; i++) {
    const endMs = (i * 59 * MINUTE_MS) / trips + 2 * MINUTE_MS;
    hour.add("m.1", {
      truck: `t${i % 4}`,
      shovel: "s1",
      dump: "d1",
      endMs,
      travelMin: 20,
      atShovelMin: 4,
      atDumpMin: 2,
      litres: 150,
      payloadT: 300,
    });
  }
  const plans = planner(hour, shovelWatch(WATCH), 2);
  const outputs: Output[] = [];
  const emit = (output: Output) => void outputs.push(output);
  const requests = () => outputs.map(({ record }) => record as PlanRequest);
  return { plans, outputs, emit, requests, hour };
}
const silent = (key: string) => ({ kind: "shovel-silent", key }) as const;

t.test("the first hour starts, once", async (t) => {
  const { plans, emit, outputs, requests } = world();
  plans.start("m.1", 30 * MINUTE_MS, emit);
  t.same(outputs, []);
  plans.start("m.1", 62 * MINUTE_MS, emit);
  plans.start("m.1", 900 * MINUTE_MS, emit);
  t.equal(outputs.length, 1);
  t.match(outputs[0], { stream: "plans", subject: "plans.m%2E1.request" });
  t.match(requests()[0], {
    ...{
      kind: "plan-request",
      site: "m.1",
      ts: "1970-01-01T01:02:00.000Z",
      trigger: { kind: "start", key: "m.1" },
      horizonMin: 60,
      trucks: 4,
    },
    ...{ targetT: 9000, shovels: [{ shovel: "s1", loadMin: 4, available: true }], dumps: [{ dump: "d1", dumpMin: 2 }] },
    routes: [{ shovel: "s1", dump: "d1", cycleMin: 26, litres: 150, payloadT: 300, trips: 30 }],
  });
});

t.test("at most every half hour, unless another shovel; never from a site that stands", async (t) => {
  const { plans, emit, requests } = world();
  const ask = (minute: number, trigger: Parameters<typeof plans.ask>[2]) =>
    plans.ask("m.1", minute * MINUTE_MS, trigger, "why", emit);
  ask(62, silent("a"));
  ask(65, silent("a"));
  ask(65, { kind: "fuel-drift", key: "m.1" });
  t.equal(requests().length, 1);
  ask(66, silent("b"));
  t.equal(requests().length, 2);
  ask(95, silent("b"));
  t.equal(requests().length, 2, "29 minutes");
  ask(96, silent("b"));
  t.equal(requests().length, 2, "by now too few trips are left in the hour");
  const idle = world(10);
  idle.plans.start("m.1", 62 * MINUTE_MS, idle.emit);
  t.same(idle.requests(), []);
});

t.test("a restart remembers what was asked", async (t) => {
  const { plans, emit, requests, hour } = world();
  plans.start("m.1", 62 * MINUTE_MS, emit);
  const again = planner(hour, shovelWatch(WATCH), 2);
  again.load(JSON.parse(JSON.stringify(plans.save())));
  again.start("m.1", 63 * MINUTE_MS, emit);
  t.equal(requests().length, 1);
});

import t from "tap";
import { MINUTE_MS, type PlanRequest } from "../../../src/core/index.js";
import { type PlanNews, planner, planRequests } from "../../../src/pipelines/mine/planner.js";
import { processKit } from "../../operators/support/keyed-kit.js";

function world(trips = 30) {
  const kit = processKit(planner({ maxSites: 2 }));
  const tell = (minute: number, value: PlanNews) => kit.event(minute * MINUTE_MS, { key: "m.1", value });
  const drive = (minute: number, change: { readonly endMs?: number } = {}) =>
    tell(minute, {
      kind: "cycle",
      cycle: {
        ...{ truck: `t${minute % 4}`, shovel: "s1", dump: "d1", endMs: minute * MINUTE_MS },
        ...{ travelMin: 20, atShovelMin: 4, atDumpMin: 2, litres: 150, payloadT: 300, ...change },
      },
    });
  for (let i = 0; i <= trips; i++) drive((i * 59) / trips + 2);
  const silent = (minute: number, ...shovels: readonly string[]) =>
    tell(minute, {
      kind: "shovels",
      resumed: undefined,
      silent: shovels.map((shovel) => ({ shovel, reason: `${shovel} stands` })),
    });
  return { tell, drive, silent, requests: () => kit.rows<PlanRequest>() };
}

t.test("the first hour starts, once", async (t) => {
  const { drive, requests } = world();
  t.same(requests(), [], "59 minutes");
  drive(62, { endMs: 62 * MINUTE_MS });
  drive(62.5);
  t.equal(requests().length, 1);
  t.match(requests()[0], {
    ...{ kind: "plan-request", site: "m.1", ts: "1970-01-01T01:02:00.000Z", trigger: { kind: "start", key: "m.1" } },
    ...{ horizonMin: 60, targetT: 9300, dumps: [{ dump: "d1", dumpMin: 2 }] },
    shovels: [{ shovel: "s1", loadMin: 4, available: true }],
    routes: [{ shovel: "s1", dump: "d1", cycleMin: 26, litres: 150, payloadT: 300, trips: 31 }],
  });
  t.match(planRequests.write(requests()[0] as PlanRequest, {} as never), {
    ...{ stream: "plans", subject: "plans.m%2E1.request" },
  });
});

t.test("at most every half hour, unless another shovel; never from a site that stands", async (t) => {
  const { tell, silent, requests } = world();
  silent(62, "a");
  silent(65, "a");
  tell(65, { kind: "fuel-drift", reason: "more fuel" });
  t.equal(requests().length, 1);
  silent(66, "b");
  t.equal(requests().length, 2);
  silent(95, "b");
  t.equal(requests().length, 2, "29 minutes");
  silent(96, "b");
  t.equal(requests().length, 2, "by now too few trips are left in the hour");
  const idle = world(10);
  idle.drive(62);
  t.same(idle.requests(), []);
});

t.test("silent shovels are not available, whichever of several is asked for; one that loads again is", async (t) => {
  const { tell, silent, requests } = world();
  silent(62, "s1", "s2");
  t.match(
    requests().map(({ trigger, reason, shovels }) => [trigger.key, reason, shovels[0]?.available]),
    [
      ["s1", "s1 stands", false],
      ["s2", "s2 stands", false],
    ],
  );
  tell(63, { kind: "shovels", resumed: "s1", silent: [{ shovel: "s3", reason: "s3 stands" }] });
  t.match(requests()[2], { trigger: { key: "s3" }, shovels: [{ shovel: "s1", available: true }] });
});

import t from "tap";
import { MINUTE_MS } from "../../../src/core/index.js";
import { CYCLE_STEPS, type CycleStep, type HaulCycle, haulCycles } from "../../../src/operators/index.js";
import { processKit } from "../support/keyed-kit.js";

const LABELS = { shovel: "shovel-1", load: "bench-a" };
const DUMPED = { payloadT: 290, efhEmptyM: 4000, efhFullM: 5000, distEmptyM: 3000, distFullM: 4500 };
/** Minutes of the six steps. */
const TIMES = [0, 10, 20, 20, 40, 42];

type Row = { readonly cycle: HaulCycle; readonly by: CycleStep };
const started = () =>
  processKit<CycleStep, unknown, unknown>(haulCycles<CycleStep>({ maxTrucks: 5, stepOf: (step) => step }) as never);

/** The cycle each step completes, if it does. */
function drive(
  statuses: readonly (readonly [status: string, minute: number])[],
  values = DUMPED,
  kit = started(),
): (HaulCycle | undefined)[] {
  return statuses.map(([status, minute]) => {
    const before = kit.rows().length;
    const step: CycleStep = {
      timeMs: minute * MINUTE_MS,
      status,
      values: status === "dumped" ? values : {},
      labels: {
        ...LABELS,
        ...(status.endsWith("dump") || status === "dumped" ? { dump: "crusher", dumpType: "ore" } : {}),
      },
    };
    kit.event(step.timeMs, { key: "t", value: step });
    return kit.rows<Row>()[before]?.cycle;
  });
}

const whole = CYCLE_STEPS.map((status, i) => [status, TIMES[i] as number] as const);

t.test("six steps in order make a cycle", async (t) => {
  const found = drive(whole);
  t.same(found.slice(0, 5), [undefined, undefined, undefined, undefined, undefined]);
  const cycle = found[5];
  t.match(cycle, {
    shovel: "shovel-1",
    load: "bench-a",
    dump: "crusher",
    dumpType: "ore",
    startMs: 0,
    endMs: 42 * MINUTE_MS,
  });
  const minutes = (name: string): number => Math.round((cycle?.values[name] ?? -1) * 60);
  t.same(
    ["cycleH", "travelEmptyH", "travelFullH", "atShovelH", "atDumpH", "pauseH", "queueAndIdleH"].map(minutes),
    [42, 10, 20, 10, 2, 0, 12],
  );
  t.match(cycle?.values, { efhEmptyKm: 4, efhFullKm: 5, distEmptyKm: 3, distFullKm: 4.5, payloadT: 290 });
  t.equal(cycle?.payloadMeasured, true);
});

t.test("dirt: what is out of turn spoils the cycle until the next assigned-load", async (t) => {
  const spoilt: Record<string, readonly (readonly [string, number])[]> = {
    missing: whole.filter(([status]) => status !== "loaded"),
    doubled: [...whole.slice(0, 3), ["loaded", 20], ...whole.slice(3)],
    unknown: [...whole.slice(0, 2), ["resting", 12], ...whole.slice(2)],
    "time runs back": whole.map(([status, minute]) => [status, status === "arrived-dump" ? 15 : minute]),
    "no beginning": whole.slice(1),
  };
  for (const [name, steps] of Object.entries(spoilt)) {
    t.same(
      drive(steps).filter((cycle) => cycle !== undefined),
      [],
      name,
    );
    t.equal(
      drive([...steps, ...whole.map(([status, minute]) => [status, minute + 60] as const)]).filter(Boolean).length,
      1,
      `${name}: then well again`,
    );
  }
  const restarted = drive([
    ["assigned-load", 0],
    ["arrived-load", 5],
    ...whole.map(([status, minute]) => [status, minute + 9] as const),
  ]);
  t.equal(restarted.at(-1)?.startMs, 9 * MINUTE_MS, "a second assigned-load begins anew");
});

t.test("payloads no truck carries are replaced and say so", async (t) => {
  for (const payloadT of [0, 99, 401, 65_519, 6_548]) {
    const cycle = drive(whole, { ...DUMPED, payloadT }).at(-1);
    t.match(cycle, { payloadMeasured: false, values: { payloadT: 303 } }, `${payloadT} t`);
  }
  for (const payloadT of [100, 400]) t.equal(drive(whole, { ...DUMPED, payloadT }).at(-1)?.payloadMeasured, true);
});

t.test("the pause before a cycle counts as idle, two hours of it at most", async (t) => {
  const kit = started();
  drive(whole, DUMPED, kit);
  const again = whole.map(([status, minute]) => [status, minute + 42 + 300] as const);
  const values = drive(again, DUMPED, kit).at(-1)?.values;
  t.equal(values?.pauseH, 5);
  t.equal(Math.round((values?.queueAndIdleH ?? 0) * 60), 120 + 12);
});

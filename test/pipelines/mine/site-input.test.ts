import t from "tap";
import type { Inference } from "../../../src/core/index.js";
import { readAhead, type SiteInput, type SiteRecord, siteSource } from "../../../src/pipelines/mine/site-input.js";
import { logMessage } from "../../support/program-runner.js";

const VALUES = { efhEmptyKm: 4, efhFullKm: 5, payloadT: 290, travelEmptyH: 0.25, travelFullH: 3, queueAndIdleH: 0.5 };

const feature = (name: string, more: object = {}) => ({
  ...{
    id: `i/${name}`,
    kind: "feature",
    feature: name,
    pipeline: "mine.telemetry",
    domain: "mine",
    site: "m",
    key: "m/t-1",
  },
  ...{ startMs: 10, endMs: 20, values: {}, labels: {}, scores: {}, ...more },
});
const cycle = (values: object = VALUES) => feature("mine.cycle", { values, labels: { shovel: "s", dump: "d" } });
const message = (sequence: number, ...records: readonly object[]) =>
  logMessage(
    {
      subject: "features.0.mine%2Etelemetry.m%2Ft-1",
      data: records.map((record) => JSON.stringify(record)).join("\n"),
    },
    sequence,
  );

/** Answers the sum of a row, and remembers how it was asked. */
function summing(): Inference & { asked: { model: string; rows: number[]; width: number }[] } {
  const asked: { model: string; rows: number[]; width: number }[] = [];
  return {
    asked,
    async run(model, rows, width) {
      asked.push({ model, rows: [...rows], width });
      return Float32Array.from({ length: rows.length / width }, (_, i) =>
        rows.slice(i * width, (i + 1) * width).reduce((a, b) => a + b, 0),
      );
    },
  };
}

t.test(
  "one batch for a slice; rows in the model's order, legs cut at an hour; the rest is none of its business",
  async (t) => {
    const inference = summing();
    const inputs = await readAhead(
      [
        message(1, cycle(), feature("mine.load", { key: "m/s", labels: { shovel: "s", truck: "t-1" } })),
        logMessage({ subject: "features.0._mark.x", data: "{}" }, 2),
        logMessage({ subject: "features.0.parallel-org%2Eactivity.o", data: JSON.stringify(feature("github.day")) }, 3),
        message(4, feature("sensor.window"), { ...feature("mine.cycle"), kind: "anomaly" }),
        message(5, cycle({ ...VALUES, efhFullKm: undefined })),
        message(6, cycle({ ...VALUES, payloadT: 300 }), feature("mine.refuel", { values: { litres: 2000 } })),
      ],
      inference,
    );
    t.same(inference.asked, [
      { model: "litres-per-cycle", width: 7, rows: [4, 5, 290, 0.25, 1, 0.5, 1, 4, 5, 300, 0.25, 1, 0.5, 1] },
    ]);
    t.same(
      inputs.map((input) => input.length),
      [2, 0, 0, 0, 1, 2],
    );
    const litres = inputs.flat().map(({ event }) => (event.kind === "load" ? "load" : event.litres));
    t.same(litres, [301.75, "load", null, 311.75, 2000]);
    t.match(inputs[0]?.[0], {
      id: "i/mine.cycle",
      timeMs: 20,
      order: "1 t-1 10",
      event: { truck: "t-1", shovel: "s", dump: "d" },
    });
    t.match(inputs[0]?.[1], {
      order: "0 s t-1",
      event: { kind: "load", origin: { stream: "features", sequence: 1, index: 1 } },
    });
  },
);

t.test("what a message yields does not depend on the slice it came in", async (t) => {
  const messages = [message(1, cycle()), message(2, cycle({ ...VALUES, payloadT: 111 }), cycle({})), message(3)];
  const together = await readAhead(messages.slice(0, 2), summing());
  const apart: SiteInput[] = [];
  for (const one of messages.slice(0, 2)) apart.push(...(await readAhead([one], summing())));
  t.same(apart, together);
});

t.test("nothing to predict asks nothing", async (t) => {
  const inference = summing();
  await readAhead([message(1, feature("mine.load")), message(2, cycle({}))], inference);
  t.same(inference.asked, []);
});

t.test("the source takes what was read ahead, and reads by itself where nothing was", async (t) => {
  const one = message(1, cycle(), feature("mine.load"));
  const [ahead] = await readAhead([one], summing());
  const found = (input: SiteInput | undefined): SiteRecord[] => {
    const records: SiteRecord[] = [];
    siteSource.decode(
      one,
      { event: (record) => records.push(record), malformed: (reason) => void t.fail(reason) },
      input,
    );
    return records;
  };
  t.same(found(ahead), ahead);
  t.match(found(undefined), [{ event: { kind: "cycle", litres: null } }, { event: { kind: "load" } }]);
});

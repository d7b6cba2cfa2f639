import t from "tap";
import { tune } from "../../src/cli/tune.js";
import { site } from "../../src/pipelines/mine/site.js";
import { telemetry } from "../../src/pipelines/mine/telemetry.js";
import { memoryLog } from "../support/memory-log.js";

const PARTITIONS = [0, 1];

t.test("a change goes to every partition, beside those before it, and can be taken back", async (t) => {
  const log = memoryLog();
  await log.ensureStream({ name: "telemetry", subjects: ["telemetry.>"], maxBytes: 1e6 });
  const says = (...changes: string[]) => tune(log, telemetry, PARTITIONS, changes);
  const held = async () => {
    const last = await Promise.all(PARTITIONS.map((p) => log.last("telemetry", `telemetry.${p}._ctl.detector`)));
    return last.map((message) => message && JSON.parse(Buffer.from(message.data).toString()));
  };
  t.equal(await says(), "mine.telemetry: every threshold is the default");
  t.same(await held(), [undefined, undefined], "looking changes nothing");
  t.equal(await says("truck-unusual=2.5"), "mine.telemetry: truck-unusual=2.5");
  const both = { "truck-unusual": 2.5, "sensor-unusual": 2 };
  t.equal(await says("sensor-unusual=2"), "mine.telemetry: truck-unusual=2.5 sensor-unusual=2");
  t.same(await held(), [both, both]);
  t.equal(await says("truck-unusual=default"), "mine.telemetry: sensor-unusual=2");

  for (const [wrong, message] of [
    ["truck=2", /no rule truck; those with a threshold are truck-unusual, sensor-unusual, sensor-reading-unusual/],
    ["truck-unusual=high", /threshold of truck-unusual must be a number above 0, got NaN/],
    ["truck-unusual", /rule=threshold, got "truck-unusual"/],
  ] as const)
    await t.rejects(says(wrong), { code: "MR_OPTION_INVALID", message });
  await t.rejects(tune(log, site, PARTITIONS, []), { message: /mine\.site: it has no thresholds/ });
  t.same(await held(), [{ "sensor-unusual": 2 }, { "sensor-unusual": 2 }], "what is wrong is not in the log");
});

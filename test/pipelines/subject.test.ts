import t from "tap";
import { jsonOf, kindOf, tickOf } from "../../src/pipelines/subject.js";
import { logMessage } from "../support/program-runner.js";

t.test("the third token says what a message is", async (t) => {
  const table = {
    "telemetry.0._tick.live": "tick",
    "telemetry.12._tick": "tick",
    "github.0._ctl.threshold": "control",
    "features.1._mark.mine%2Etelemetry%2F0": "mark",
    "telemetry.0.site.truck.status": "event",
    "telemetry.0.pack": "event",
    "telemetry.0._other.truck.status": "event",
    "telemetry.0._ticks.truck.status": "event",
  };
  for (const [subject, kind] of Object.entries(table))
    t.equal(kindOf(logMessage({ subject, data: "" }, 1)), kind, subject);
});

t.test("a tick needs a source and a whole time", async (t) => {
  const tick = (data: string) => tickOf(logMessage({ subject: "github.0._tick.live", data }, 1));
  t.same(tick('{"source":"live","t":5}'), { source: "live", t: 5, retire: false });
  t.same(tick('{"source":"s","t":5,"retire":true}'), { source: "s", t: 5, retire: true });
  for (const bad of [
    "",
    "null",
    "[]",
    "5",
    '{"t":5}',
    '{"source":"s"}',
    '{"source":"s","t":1.5}',
    '{"source":1,"t":5}',
  ]) {
    t.equal(tick(bad), undefined, bad);
  }
});

t.test("JSON of UTF-8 only", async (t) => {
  t.same(jsonOf(Buffer.from("[1]")), [1]);
  t.equal(jsonOf(Uint8Array.of(0x22, 0xff, 0x22)), undefined);
  t.equal(jsonOf(Buffer.from("{")), undefined);
});

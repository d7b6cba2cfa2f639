import t from "tap";
import { trackSilences } from "../../src/streams/silences.js";

t.test(
  "several messages in a row without an answer are a silence, until one is answered or nobody asks any more",
  async (t) => {
    let nowMs = 1_000;
    const silences = trackSilences(() => nowMs);
    t.equal(silences.longest(), undefined);
    silences.missed("in.telemetry.s.e.g");
    t.equal(silences.longest(), undefined, "one may be chance");
    nowMs = 2_000;
    silences.missed("telemetry.0._tick.live");
    t.same(silences.longest(), { stream: "telemetry", sinceMs: 1_000 }, "the stream is what counts");
    silences.missed("alerts.0.mine");
    silences.missed("alerts.1.mine");
    t.same(silences.longest(), { stream: "telemetry", sinceMs: 1_000 }, "the longest of two");
    silences.answered("in.telemetry.s.e.g");
    t.same(silences.longest(), { stream: "alerts", sinceMs: 2_000 });
    nowMs += 61_000;
    t.equal(silences.longest(), undefined, "nobody has asked for a minute");
    silences.missed("alerts.0.mine");
    t.same(silences.longest(), { stream: "alerts", sinceMs: 2_000 });
    silences.clear();
    t.equal(silences.longest(), undefined);
  },
);

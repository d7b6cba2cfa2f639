import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { DAY_MS, type Output } from "../../src/core/index.js";
import { loadState, saveState } from "../../src/operators/index.js";
import { type Candidate, intake } from "../../src/pipelines/intake.js";
import { logMessage } from "../support/program-runner.js";

const OPTIONS = {
  pipeline: "p.q",
  domain: "telemetry",
  ahead: "refuse",
  time: { disorderMs: 0, idleAfterMs: 0, maxAheadMs: 1000 },
} as const;

const candidate = (id: string, change: Partial<Candidate> = {}): Candidate => ({
  ...{ eventId: id, identity: id, source: "live", tsMs: 5000, refusal: undefined, index: 0, ...change },
});
const message = (data = "body") =>
  logMessage({ subject: "telemetry.0.s.e.g", data, headers: { "Millrace-Door": "mqtt" } }, 9);

function door(options: Parameters<typeof intake>[0] = OPTIONS) {
  const outputs: Output[] = [];
  const emit = (output: Output) => void outputs.push(output);
  return { ...intake(options), outputs, emit };
}

t.test("once is accepted, twice is a duplicate", async (t) => {
  const { admit, counters, emit, outputs } = door();
  t.equal(admit(candidate("a"), message(), emit), true);
  t.equal(admit(candidate("a"), message(), emit), false);
  t.equal(admit(candidate("b"), message(), emit), true);
  t.same(counters(), { received: 3, duplicates: 1, deadLettered: 0, late: 0, accepted: 2 });
  t.same(outputs, []);
});

t.test(
  "what is refused goes to dead with reason, origin and bytes; again it is a duplicate, corrected it is welcome",
  async (t) => {
    const { admit, counters, emit, outputs } = door();
    t.equal(admit(candidate("a", { refusal: "no ts", index: 3 }), message("bad"), emit), false);
    t.match(outputs, [
      {
        ...{ stream: "dead", subject: "dead.telemetry" },
        record: {
          ...{ kind: "dead", domain: "telemetry", eventId: "a", reason: "no ts", source: "live", door: "mqtt" },
          ...{ subject: "telemetry.0.s.e.g", origin: { stream: "telemetry", sequence: 9, index: 3 }, bytesTotal: 3 },
          bytesBase64: Buffer.from("bad").toString("base64"),
        },
      },
    ]);
    t.equal(admit(candidate("a", { refusal: "no ts", index: 3 }), message("bad"), emit), false);
    t.equal(admit(candidate("a"), message("good"), emit), true);
    t.same(counters(), { received: 3, duplicates: 1, deadLettered: 1, late: 0, accepted: 1 });
  },
);

t.test("of a long body 64 KiB are kept, and how long it was", async (t) => {
  const { admit, emit, outputs } = door();
  admit(candidate("a", { refusal: "?" }), message("x".repeat(100_000)), emit);
  const record = outputs[0]?.record as { bytesBase64: string; bytesTotal: number };
  t.equal(record.bytesTotal, 100_000);
  t.equal(Buffer.from(record.bytesBase64, "base64").length, 65_536);
});

t.test("beyond the source's time: refused or accepted as the pipeline says", async (t) => {
  const strict = door();
  strict.marks.tick({ source: "live", t: 1000 });
  t.equal(strict.admit(candidate("a", { tsMs: 2000 }), message(), strict.emit), true);
  t.equal(strict.admit(candidate("b", { tsMs: 2001 }), message(), strict.emit), false);
  t.match(strict.outputs[0]?.record, { reason: "beyond source time" });
  const lenient = door({ ...OPTIONS, ahead: "accept" });
  lenient.marks.tick({ source: "live", t: 1000 });
  t.equal(lenient.admit(candidate("b", { tsMs: 2001 }), message(), lenient.emit), true);
});

t.test("late events are counted and told", async (t) => {
  const { late, counters, emit, outputs } = door();
  late({ domain: "mine", key: "k", eventId: "a", tsMs: 1, lateByMs: 2 }, emit);
  t.match(outputs[0], {
    stream: "late",
    subject: "late.p%2Eq",
    record: { kind: "late", pipeline: "p.q", lateByMs: 2 },
  });
  t.equal(counters().late, 1);
});

t.test("ids are remembered for a week of event time", async (t) => {
  const { admit, advance, marks, emit } = door();
  marks.tick({ source: "live", t: 100 * DAY_MS });
  admit(candidate("a"), message(), emit);
  advance(107 * DAY_MS);
  t.equal(admit(candidate("a"), message(), emit), false);
  advance(108 * DAY_MS);
  t.equal(admit(candidate("a"), message(), emit), true);
});

t.test("received = accepted + duplicates + deadLettered, and a restart changes nothing", async (t) => {
  const event = fc.record({
    id: fc.nat(9),
    bad: fc.boolean(),
    tsMs: fc.option(fc.nat(5000), { nil: undefined }),
    body: fc.nat(5),
  });
  const property = fc.property(fc.array(event), fc.nat(20), (events, cut) => {
    const run = (restartAt: number) => {
      let one = door();
      const outputs: Output[] = [];
      one.marks.tick({ source: "live", t: 1000 });
      events.forEach(({ id, bad, tsMs, body }, i) => {
        if (i === restartAt) {
          const saved = saveState("p", 1, one.operators);
          one = door();
          loadState(saved, "p", 1, one.operators);
        }
        one.admit(candidate(`${id}`, { tsMs, refusal: bad ? "bad" : undefined }), message(`${body}`), (output) =>
          outputs.push(output),
        );
      });
      return { outputs, counters: one.counters() };
    };
    const through = run(-1);
    const { received, accepted, duplicates, deadLettered } = through.counters;
    assert.equal(received, events.length);
    assert.equal(accepted + duplicates + deadLettered, received);
    assert.equal(through.outputs.length, deadLettered);
    assert.deepEqual(run(cut), through);
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 17 }));
});

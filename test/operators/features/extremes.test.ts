import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { evidence, hopping, type Witness } from "../../../src/operators/index.js";
import { aggregated, keyedKit } from "../support/keyed-kit.js";

const witness = (value: number, timeMs: number, eventId = `${value}`): Witness => {
  return { value, timeMs, eventId, origin: { stream: "s", sequence: timeMs, index: 0 } };
};

const WINDOW = { kept: evidence<Witness>((witness) => witness) };
const keptOf = (witnesses: readonly Witness[]) => aggregated(WINDOW, witnesses).kept;

t.test("at most four of each side, each once, by time", async (t) => {
  const many = Array.from({ length: 20 }, (_, i) => witness((i * 7) % 20, i));
  const kept = keptOf(many).map(({ sequence }) => (sequence * 7) % 20);
  t.same(
    [...kept].sort((a, b) => a - b),
    [0, 1, 2, 3, 16, 17, 18, 19],
  );
  t.equal(keptOf([witness(1, 1)]).length, 1);
});

t.test("which events are kept depends neither on their order nor on panes", async (t) => {
  const arrival = fc.tuple(fc.nat(5), fc.nat(5), fc.string({ maxLength: 2 }));
  const events = fc.uniqueArray(arrival, { selector: String, minLength: 1 });
  const property = fc.property(events, fc.integer(), (events, seed) => {
    const keep = (list: typeof events) => keptOf(list.map(([value, timeMs, id]) => witness(value, timeMs, id)));
    const shuffled = [...events].sort((a, b) => hash(String(a), seed) - hash(String(b), seed));
    assert.deepEqual(keep(shuffled), keep(events));
    const panes = keyedKit<Witness, { kept: unknown; startMs: number }>((values) =>
      values.window("hops", hopping({ sizeMs: 100, slideMs: 10 })).aggregate(WINDOW),
    );
    for (const [value, timeMs, id] of events) panes.event(timeMs * 7, { key: "k", value: witness(value, timeMs, id) });
    panes.watermark(1_000);
    const whole = panes.rows<{ kept: unknown; startMs: number }>().find(({ startMs }) => startMs === 0);
    assert.deepEqual(whole?.kept, keep(events));
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 5 }));
});

function hash(text: string, seed: number): number {
  let h = seed;
  for (const char of text) h = Math.imul(h ^ char.charCodeAt(0), 0x01000193);
  return h;
}

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { addWitness, evidenceOf, noExtremes, type Witness } from "../../../src/operators/index.js";

const witness = (value: number, timeMs: number, eventId = `${value}`): Witness => {
  return { value, timeMs, eventId, origin: { stream: "s", sequence: timeMs, index: 0 } };
};

t.test("at most four of each side, each once, by time", async (t) => {
  const extremes = noExtremes();
  t.same(evidenceOf(extremes), []);
  for (let i = 0; i < 20; i++) addWitness(extremes, witness((i * 7) % 20, i));
  const kept = evidenceOf(extremes).map(({ sequence }) => (sequence * 7) % 20);
  t.same(
    [...kept].sort((a, b) => a - b),
    [0, 1, 2, 3, 16, 17, 18, 19],
  );
  const few = noExtremes();
  addWitness(few, witness(1, 1));
  t.equal(evidenceOf(few).length, 1);
});

t.test("which events are kept does not depend on their order", async (t) => {
  const arrival = fc.tuple(fc.nat(5), fc.nat(5), fc.string({ maxLength: 2 }));
  const property = fc.property(fc.uniqueArray(arrival, { selector: String }), fc.integer(), (events, seed) => {
    const keep = (list: readonly (typeof events)[number][]) => {
      const extremes = noExtremes();
      for (const [value, timeMs, id] of list) addWitness(extremes, witness(value, timeMs, id));
      return extremes;
    };
    const shuffled = [...events].sort((a, b) => hash(String(a), seed) - hash(String(b), seed));
    assert.deepEqual(keep(shuffled), keep(events));
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 5 }));
});

function hash(text: string, seed: number): number {
  let h = seed;
  for (const char of text) h = Math.imul(h ^ char.charCodeAt(0), 0x01000193);
  return h;
}

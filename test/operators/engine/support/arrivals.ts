import fc from "fast-check";

/** A value of the property tests: small numbers, so that sums are exact in any order. */
export interface Reading {
  readonly id: number;
  readonly key: string;
  readonly timeMs: number;
  readonly x: number;
}

/** What reaches a task: events and watermarks, in the order of the log. */
export type Step =
  | { readonly kind: "event"; readonly event: Reading }
  | { readonly kind: "mark"; readonly timeMs: number };

const KEYS = ["a", "b", "ä", "\ud83d\ude80", "\uffee", "b2"];

/** Random events over a short span, with watermarks strewn in that only grow; the last one ends everything. */
export function steps(options: { readonly maxEvents?: number; readonly spanMs?: number } = {}): fc.Arbitrary<Step[]> {
  const { maxEvents = 40, spanMs = 100 } = options;
  const event = fc.record({
    key: fc.constantFrom(...KEYS),
    timeMs: fc.integer({ min: -spanMs, max: spanMs }),
    x: fc.integer({ min: -50, max: 50 }),
  });
  const mark = fc.integer({ min: 0, max: 25 });
  return fc
    .array(fc.oneof({ weight: 4, arbitrary: event }, { weight: 1, arbitrary: mark }), { maxLength: maxEvents })
    .map((raw) => {
      let watermarkMs = -spanMs;
      let id = 0;
      const made: Step[] = raw.map((item) => {
        if (typeof item === "number") {
          watermarkMs += item;
          return { kind: "mark", timeMs: watermarkMs };
        }
        return { kind: "event", event: { id: id++, ...item } };
      });
      return [...made, { kind: "mark", timeMs: Math.max(watermarkMs, spanMs) + 10 * spanMs }];
    });
}

/** As `steps`, but time goes slowly and every event is near the watermark: keys come again, and what is late is so by little. */
export function nearbySteps(): fc.Arbitrary<Step[]> {
  const event = fc.record({
    key: fc.constantFrom("a", "b", "\ud83d\ude80"),
    byMs: fc.integer({ min: -16, max: 16 }),
    x: fc.integer({ min: -50, max: 50 }),
  });
  const raw = fc.array(
    fc.oneof({ weight: 3, arbitrary: event }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) }),
    {
      minLength: 15,
      maxLength: 40,
    },
  );
  return raw.map((items) => {
    let watermarkMs = 0;
    const made = items.map((item, id): Step => {
      if (typeof item === "number") {
        watermarkMs += item;
        return { kind: "mark", timeMs: watermarkMs };
      }
      return { kind: "event", event: { id, key: item.key, timeMs: watermarkMs + item.byMs, x: item.x } };
    });
    return [...made, { kind: "mark", timeMs: watermarkMs + 200 }];
  });
}

export function eventsOf(all: readonly Step[]): readonly Reading[] {
  return all.flatMap((step) => (step.kind === "event" ? [step.event] : []));
}

import { encodeToken, fieldReader, num, partitionOf, str } from "../../src/core/index.js";
import { count, days, jsonSource, pipeline, sumIntegers, tumbling } from "../../src/operators/engine/index.js";

/** The topologies under the kills: two stages, so that marks, packs, late events and windows all cross a crash. */
export const PARTITIONS = 3;
export const SITE = "kill";
/** The time source of the input; see `input.ts` for its marks. */
export const SOURCE = "kill";
export const WINDOW_MS = 1_000;
/** How far the marks of the input trail its ticks. */
export const DISORDER_MS = 500;

const reading = fieldReader({ id: str, unit: str, ts: num, v: num });
const fields = { fields: reading, time: ({ ts }: { ts: number }) => ts };

const intake = pipeline("kill.intake", {
  summary: "each reading once",
  marks: { stream: "accepted", everyMs: DISORDER_MS },
});
intake
  .from(
    jsonSource({
      stream: "telemetry",
      ...fields,
      id: ({ id }) => id,
      source: () => SOURCE,
      timing: { disorderMs: DISORDER_MS, idleAfterMs: days(365) },
    }),
  )
  .dedupe("ids", { id: ({ id }) => id, ttlMs: days(7) })
  .to({
    stream: "accepted",
    write: ({ id, unit, ts, v }) => ({
      stream: "accepted",
      subject: `accepted.${partitionOf([SITE, unit], PARTITIONS)}.telemetry`,
      record: {
        kind: "reading",
        eventId: id,
        source: SOURCE,
        site: SITE,
        equipment: unit,
        group: "g",
        tsMs: ts,
        values: { v },
        labels: {},
        door: "test",
      },
      pack: true,
    }),
  });

const accepted = fieldReader({ eventId: str, equipment: str, tsMs: num, values: { kind: "any", optional: false } });

const seconds = pipeline("kill.seconds", { summary: "count and sum of a unit's second" });
seconds
  .from(
    jsonSource({
      stream: "accepted",
      fields: accepted,
      time: ({ tsMs }) => tsMs,
      id: ({ eventId }) => eventId,
    }),
  )
  .map(({ equipment, values }) => ({ unit: equipment, v: (values as { v: number }).v }))
  .keyBy(({ unit }) => unit, { local: true })
  .window("seconds", tumbling({ sizeMs: WINDOW_MS }))
  .aggregate({ events: count(), total: sumIntegers("v") })
  .to({
    stream: "features",
    write: ({ key, startMs, endMs, events, total }) => ({
      stream: "features",
      subject: `features.${partitionOf([SITE, key], PARTITIONS)}.kill.${encodeToken(key)}`,
      record: {
        kind: "feature",
        feature: "second",
        pipeline: "kill.seconds",
        domain: "sensor",
        site: SITE,
        key,
        startMs,
        endMs,
        values: { events, total: Number(total) },
        labels: {},
        scores: {},
      },
    }),
  });

export const pipelines = [intake, seconds];

import { encodeToken, fieldReader, json, num, type Output, partitionOf, str } from "../../src/core/index.js";
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

/** Added to the value of a late event, so that the second stage can leave it out: there, lateness depends on who is slow. */
export const LATE_V = 1_000_000;

const intake = pipeline("kill.intake", {
  summary: "each reading once; count and sum of a unit's second; what is late",
  marks: { stream: "accepted", everyMs: DISORDER_MS },
});
const once = intake
  .from(
    jsonSource({
      stream: "telemetry",
      ...fields,
      id: ({ id }) => id,
      source: () => SOURCE,
      timing: { disorderMs: DISORDER_MS, idleAfterMs: days(365) },
    }),
  )
  .dedupe("ids", { id: ({ id }) => id, ttlMs: days(7) });
once.to({
  stream: "accepted",
  write: ({ id, unit, ts, v }, { partitions }) => ({
    stream: "accepted",
    subject: `accepted.${partitionOf([SITE, unit], partitions)}.telemetry`,
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
once
  .keyBy(({ unit }) => unit, { local: true })
  .window("seconds", tumbling({ sizeMs: WINDOW_MS }))
  .aggregate({ events: count(), total: sumIntegers("v") })
  .to({ stream: "features", write: (row, { partitions }) => feature("first", row, partitions) });

const second = pipeline("kill.second", { summary: "the same windows once more, of what the first stage accepted" });
second
  .from(
    jsonSource({
      stream: "accepted",
      fields: fieldReader({ eventId: str, equipment: str, tsMs: num, values: json }),
      time: ({ tsMs }) => tsMs,
      id: ({ eventId }) => eventId,
      producers: ({ partitions }) => Array.from({ length: partitions }, (_, p) => `kill.intake/${p}`),
    }),
  )
  .map(({ equipment, values }) => ({ unit: equipment, v: (values as { v: number }).v }))
  .filter(({ v }) => v < LATE_V)
  .keyBy(({ unit }) => unit, { local: true })
  .window("seconds", tumbling({ sizeMs: WINDOW_MS }))
  .aggregate({ events: count(), total: sumIntegers("v") })
  .to({ stream: "features", write: (row, { partitions }) => feature("second", row, partitions) });

function feature(
  stage: string,
  row: { key: string; startMs: number; endMs: number; events: number; total: number | bigint },
  partitions: number,
): Output {
  const { key, startMs, endMs, events, total } = row;
  return {
    stream: "features",
    subject: `features.${partitionOf([SITE, key], partitions)}.kill.${encodeToken(key)}`,
    record: {
      kind: "feature",
      feature: stage,
      pipeline: `kill.${stage}`,
      domain: "sensor",
      site: SITE,
      key,
      startMs,
      endMs,
      values: { events, total: Number(total) },
      labels: {},
      scores: {},
    },
  };
}

export const pipelines = [intake, second];

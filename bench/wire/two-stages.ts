import { encodeToken, fieldReader, num, type Output, partitionOf, str } from "../../src/core/index.js";
import { days, jsonSource, pipeline } from "../../src/operators/engine/index.js";

/** The topologies of the latency and recovery benchmarks: each event's count by key, then again by key, an output for each. */
interface Counted {
  readonly key: string;
  readonly n: number;
  readonly count: number;
}

const row =
  (stream: "accepted" | "features") =>
  ({ key, n, count }: Counted): Output => ({
    stream,
    subject: `${stream}.${partitionOf([encodeToken(key)], 1)}.row`,
    record: { kind: "row", key, n, count, ts: 0 },
    pack: true,
  });

const fields = {
  fields: fieldReader({ key: str, n: num, ts: num }),
  time: ({ ts }: { ts: number }) => (ts === 0 ? undefined : ts),
};
const countOf = {
  ttlMs: days(1),
  init: () => 0,
  onEvent: (count: number, { key, n }: { key: string; n: number }, at: { emit(value: Counted): void }) => {
    at.emit({ key, n, count: count + 1 });
    return count + 1;
  },
};

const first = pipeline("stages.first", { marks: { stream: "accepted", everyMs: 1_000 } });
first
  .from(jsonSource({ stream: "telemetry", ...fields }))
  .keyBy(({ key }) => key)
  .process<number, Counted>("counts", countOf)
  .to({ stream: "accepted", write: row("accepted") });

const second = pipeline("stages.second");
second
  .from(jsonSource({ stream: "accepted", ...fields, producers: () => ["stages.first/0"] }))
  .keyBy(({ key }) => key)
  .process<number, Counted>("counts", countOf)
  .to({ stream: "features", write: row("features") });

export const pipelines = [first, second];

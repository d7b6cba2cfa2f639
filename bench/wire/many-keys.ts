import { fieldReader, num, str } from "../../src/core/index.js";
import {
  count,
  days,
  jsonSource,
  max,
  min,
  pipeline,
  sum,
  type Topology,
  tumbling,
} from "../../src/operators/engine/index.js";

/** Every so many events one passes through, so that a reader sees how far the task is. */
export const PROBE_EVERY = 100;

interface Event {
  readonly key: string;
  readonly n: number;
  readonly ts: number;
}

/** The topology of the recovery benchmark: an open window of four aggregates for each key, and a probe now and then. */
export function manyKeys(name: string): Topology {
  const topology = pipeline(name);
  const events = topology.from(
    jsonSource<Event>({
      stream: "telemetry",
      fields: fieldReader({ key: str, n: num, ts: num }) as never,
      time: ({ ts }) => ts,
    }),
  );
  events
    .filter(({ n }) => n % PROBE_EVERY === 0)
    .to({
      stream: "accepted",
      write: ({ n }) => ({ stream: "accepted", subject: "accepted.0.probe", record: { kind: "row", n }, pack: true }),
    });
  events
    .keyBy(({ key }) => key)
    .window("day", tumbling({ sizeMs: days(3_650) }))
    .aggregate({ n: count(), sum: sum("n"), min: min("n"), max: max("n") })
    .to({
      stream: "features",
      write: (row) => ({ stream: "features", subject: "features.0.day", record: { ...row, kind: "row" } }),
    });
  return topology;
}

export const pipelines = [manyKeys("keys.day")];

import type { Feature } from "../../src/core/index.js";
import { pipeline, type Target, type Topology } from "../../src/operators/engine/index.js";
import { nexmarkSource } from "./events.js";
import { QUERIES } from "./queries.js";

/** The query as a topology of the product: it reads `telemetry` and writes each row to `features`, numbers as values, texts as labels. */
export function wireTopology(query: string, name: string): Topology {
  const { reads, columns, build } = QUERIES[query] ?? unknown(query);
  const topology = pipeline(name);
  const into = <R>(): Target<R> => ({
    stream: "features",
    write: (row) => ({
      stream: "features",
      subject: "features.0.nexmark",
      record: feature(name, columns, row as Row),
      pack: true,
    }),
  });
  build(topology.from(nexmarkSource(reads, "telemetry")), into, topology);
  return topology;
}

type Row = Readonly<Record<string, number | string>>;

function feature(name: string, columns: readonly string[], row: Row): Feature {
  const values: Record<string, number> = {};
  const labels: Record<string, string> = {};
  for (const column of columns) {
    const value = row[column];
    if (typeof value === "number") values[column] = value;
    else if (typeof value === "string") labels[column] = value;
  }
  return {
    ...{ kind: "feature", feature: "row", pipeline: name, domain: "sensor", site: "nexmark", key: "", startMs: 0 },
    ...{ endMs: 0, values, labels, scores: {} },
  };
}

function unknown(query: string): never {
  throw new RangeError(`there is no query ${query}`);
}

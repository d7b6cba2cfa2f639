export type { Aggregate, NumberOf } from "./aggregates/aggregate.js";
export { count, histogram, max, mean, min, stddev, sum, sumIntegers, variance } from "./aggregates/basic.js";
export type { ChangelogOptions } from "./aggregates/changelog.js";
export {
  argmax,
  argmin,
  type Collected,
  type CustomAggregate,
  collect,
  custom,
  first,
  last,
} from "./aggregates/chosen.js";
export { type DistinctOptions, distinct, distinctExact } from "./aggregates/distinct.js";
export { duration, ewma, type GapOptions, integral, rate } from "./aggregates/over-time.js";
export type { Aggregates, ResultKind, Results, WindowRow } from "./aggregates/plan.js";
export { type QuantileOptions, quantiles } from "./aggregates/quantiles.js";
export { type TopEntry, type TopOptions, top } from "./aggregates/top.js";
export type { IntervalJoinOptions } from "./joins/interval-join.js";
export type { Table, TableOptions } from "./joins/table.js";
export type { JoinWindow, WindowJoinOptions } from "./joins/window-join.js";
export type { Embedded } from "./keyed/embed.js";
export type { PatternOptions } from "./keyed/pattern.js";
export type { ProcessAt, ProcessFunction } from "./keyed/process-function.js";
export type { RequestOptions } from "./keyed/request.js";
export type { ScoreModel, ScoreOptions } from "./keyed/score.js";
export type { Key } from "./state/keys.js";
export { type Sent, TestKit, testSource, testTarget } from "./testkit/test-kit.js";
export type { Tick, TimeOptions } from "./time/marks.js";
export { forgetTime } from "./topology/forget-time.js";
export { type LintFinding, type LintOptions, lint } from "./topology/lint.js";
export { type PackedOptions, packed, type Upcaster } from "./topology/packed.js";
export { topologyJson, topologyMermaid, topologyText } from "./topology/print.js";
export type { At, Late, OperatorMetrics } from "./topology/runtime.js";
export {
  type Decoder,
  type Found,
  jsonFields,
  jsonLines,
  jsonSource,
  type Malformed,
  type Source,
  type SourceOptions,
  source,
} from "./topology/source.js";
export type { StepOptions, Target } from "./topology/steps.js";
export type { KeyedStream, Stream, Windowed } from "./topology/stream.js";
export { pipeline, type SilenceEvent, Topology, type TopologyOptions } from "./topology/topology.js";
export type { PerKeyOptions } from "./windows/per-key.js";
export {
  countOf,
  days,
  hopping,
  hours,
  milliseconds,
  minutes,
  seconds,
  session,
  tumbling,
  type WindowSpec,
} from "./windows/specs.js";

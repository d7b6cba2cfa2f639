import {
  type Aggregates,
  type Key,
  type KeyedStream,
  type ProcessFunction,
  pipeline,
  type Results,
  type Sent,
  TestKit,
  testSource,
  testTarget,
  tumbling,
  type WindowRow,
} from "../../../src/operators/index.js";

export interface Filed<V> {
  readonly key: Key;
  readonly value: V;
}

const keyOf = ({ value: { key } }: Sent<Filed<unknown>>): Key => key;

/** A kit around one keyed step: feed it `event(timeMs, {key, value})`, read `rows()`. */
export function keyedKit<V, O>(
  step: (values: KeyedStream<never, V>) => KeyedStream<never, O>,
  cutAlways = true,
): TestKit<Filed<V>> {
  const values = pipeline("test.step")
    .from(testSource<Filed<V>>())
    .keyBy(keyOf)
    .map(({ value }) => value.value) as KeyedStream<never, V>;
  const kit = new TestKit<Filed<V>>(step(values).to(testTarget()));
  kit.cutAlways = cutAlways;
  return kit;
}

/** Saved and loaded before every message unless told otherwise, so no test passes with a state that does not survive. */
export function processKit<V, S, O>(definition: ProcessFunction<string, V, S, O>, cutAlways = true): TestKit<Filed<V>> {
  return keyedKit<V, O>((values) => values.process("step", definition as ProcessFunction<never, V, S, O>), cutAlways);
}

/** One window of one key over the values at times 1, 2, … ms. */
export function aggregated<V, A extends Aggregates<V>>(
  aggregates: A,
  values: readonly V[],
): WindowRow<string, Results<A>> {
  const kit = keyedKit<V, WindowRow<never, Results<A>>>((stream) =>
    stream.window("window", tumbling({ sizeMs: 1_000_000_000 })).aggregate(aggregates),
  );
  values.forEach((value, i) => {
    kit.event(i + 1, { key: "k", value });
  });
  kit.watermark(1_000_000_000);
  return kit.rows<WindowRow<string, Results<A>>>()[0] as WindowRow<string, Results<A>>;
}

import {
  type CustomRow,
  fieldReader,
  json,
  num,
  type Output,
  type Pipeline,
  type Program,
  str,
} from "../../../src/core/index.js";
import {
  count,
  jsonSource,
  type ProcessFunction,
  pipeline,
  sum,
  tumbling,
} from "../../../src/operators/engine/index.js";

/** Event times begin here. */
export const START_MS = 1_700_000_000_000;
export const WINDOW_MS = 3_000;
const MARK_MS = 1_000;
const QUIET_MS = 4_000;
const TTL_MS = 3_600_000;

/** One event as the doors of the simulated world send it. Keys begin with what their partition is chosen by: `g0-a`. */
export interface SimEvent {
  readonly id: string;
  readonly key: string;
  readonly at: number;
  readonly n: number;
}

const input = jsonSource({
  stream: "input",
  fields: fieldReader({ id: str, key: str, at: num, n: num }),
  time: ({ at }) => at,
  id: ({ id }) => id,
  timing: { disorderMs: 1_500, idleAfterMs: 4_000 },
});

const counted = jsonSource({
  stream: "features",
  fields: fieldReader({ key: str, startMs: num, endMs: num, values: json }),
  time: ({ endMs }) => endMs - 1,
  // From the start on: a producer that is only announced later could find its rows late.
  producers: ({ partitions }) => Array.from({ length: partitions }, (_, partition) => `sim.counts/${partition}`),
});
const valuesOf = ({ values }: { readonly values: unknown }) =>
  values as { readonly count: number; readonly total: number };
/** What every feature says alike. */
const FEATURE = { feature: "counts", pipeline: "sim.counts", domain: "mine", site: "sim", labels: {}, scores: {} };

function output(stream: string, partition: string | number, row: object, pack = false): Output {
  return { stream, subject: `${stream}.${partition}.row`, record: { kind: "row", ...row } as CustomRow, pack };
}

/** The first stage's keys say what they are partitioned by; the second stage has other keys, so its rows change partitions. */
const groupOf = (key: string): string => key.slice(0, key.indexOf("-"));
const letterOf = (key: string): string => key.slice(key.indexOf("-") + 1);
const partitionOfLetter = (letter: string, partitions: number): number => letter.charCodeAt(0) % partitions;

/** Says at once how many it has seen, and when a key has been quiet. */
const running: ProcessFunction<string, SimEvent, { seen: number; timer: number }, object> = {
  init: () => ({ seen: 0, timer: 0 }),
  ttlMs: TTL_MS,
  onEvent: ({ seen, timer }, _event, at) => {
    if (timer > 0) at.cancelTimer(timer);
    const due = Math.max(timer, at.timeMs + QUIET_MS);
    at.setTimer(due);
    at.emit({ what: "seen", n: seen + 1, atMs: at.timeMs });
    return { seen: seen + 1, timer: due };
  },
  onTimer: (state, timeMs, at) => {
    at.emit({ what: "quiet", n: state.seen, atMs: timeMs });
    return { ...state, timer: 0 };
  },
};

/** Removes duplicates, counts in windows, says at once what it sees, and notices who has fallen silent. */
function countsTopology(partitions: number) {
  const topology = pipeline("sim.counts", { marks: { stream: "features", everyMs: MARK_MS } });
  const keyed = topology
    .from(input)
    .dedupe("seen", { id: ({ id }) => id, ttlMs: TTL_MS })
    .keyBy(({ key }) => key);
  keyed
    .window("windows", tumbling({ sizeMs: WINDOW_MS }))
    .aggregate({ count: count(), total: sum("n") })
    .to({
      stream: "features",
      write: ({ key, startMs, endMs, count, total }) => {
        const letter = letterOf(String(key));
        const row = { ...FEATURE, key: letter, startMs, endMs, values: { count, total } };
        return output("features", partitionOfLetter(letter, partitions), { ...row, kind: "feature" });
      },
    });
  keyed.process("running", running).to({
    stream: "alerts",
    write: (row, { key }) => output("alerts", groupOf(String(key)), { key, ...row }, true),
  });
  return topology;
}

/** The second stage: totals of totals, by the marks of the first. */
function totalsTopology(partitions: number) {
  const topology = pipeline("sim.totals");
  topology
    .from(counted)
    .keyBy(({ key }) => key)
    .window("windows", tumbling({ sizeMs: 2 * WINDOW_MS }))
    .aggregate({
      windows: count(),
      events: sum((row) => valuesOf(row).count),
      total: sum((row) => valuesOf(row).total),
    })
    .to({
      stream: "final",
      write: ({ key, startMs, endMs, windows, events, total }) =>
        output("final", partitionOfLetter(String(key), partitions), { key, startMs, endMs, windows, events, total }),
    });
  return topology;
}

const made = new Map<number, readonly [readonly Pipeline[], readonly Pipeline[]]>();

/** The programs of the simulated world. Version 2 has the same state and says something else. */
export function simPipelines(version: 1 | 2, partitions: number): readonly Pipeline[] {
  let both = made.get(partitions);
  if (both === undefined) {
    const first = [countsTopology(partitions), totalsTopology(partitions)];
    both = [first, first.map(second)];
    made.set(partitions, both);
  }
  return both[version - 1] as readonly Pipeline[];
}

function second(topology: Pipeline): Pipeline {
  const { name, summary, source, writes, version } = topology;
  return {
    name,
    summary,
    source,
    writes,
    version,
    steps: [...topology.steps, { name: "second", kind: "operator", detail: "says that it is the second" }],
    create: (context) => {
      const program = topology.create(context);
      const apply: typeof program.apply = (message, ahead, emit) =>
        program.apply(message, ahead, (said) => {
          const isMark = "kind" in said.record && said.record.kind === "mark";
          emit(isMark ? said : ({ ...said, record: { ...said.record, version: 2 } } as Output));
        });
      return wrapProgram(program, { apply });
    },
  };
}

/** A program that does some things otherwise. */
export function wrapProgram(program: Program, otherwise: Partial<Program>): Program {
  return {
    apply: program.apply.bind(program),
    counters: program.counters.bind(program),
    watermarkMs: program.watermarkMs.bind(program),
    save: program.save.bind(program),
    load: program.load.bind(program),
    ...(program.beginSave && { beginSave: program.beginSave.bind(program) }),
    ...(program.applyInSteps && otherwise.apply === undefined && { applyInSteps: program.applyInSteps.bind(program) }),
    ...otherwise,
  };
}

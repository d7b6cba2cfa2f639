/**
 * Prints, for each subject of the shared suite, what its hot path leaves for the garbage collector, as JSON.
 *
 *   node --expose-gc allocation-child.js
 */
import { Session } from "node:inspector";
import { SUBJECTS, type Subject } from "./conformance.js";
import { Inputs } from "./inputs.js";

export interface Allocation {
  readonly name: string;
  readonly calls: number;
  /** What the heap grew by over `calls`, after collection. */
  readonly grownBytes: number;
  /** Allocations beyond the 16 bytes of a boxed number, for each of `watched` calls. */
  readonly objectsPerCall: number;
}

/** A double that leaves a function V8 has not inlined is boxed in 16 bytes; the smallest object takes 24, an array 32. */
const BOXED_NUMBER = 16;
const MOST_CALLS = 1_000_000;
const MOST_MS = 250;
const WATCHED = 2_000;

const session = new Session();
session.connect();

function post<T>(method: string, parameters: object): T {
  let answer: unknown;
  session.post(method, parameters, (error, result) => {
    if (error) throw error;
    answer = result;
  });
  return answer as T; // in-process sessions answer before post returns
}

function measure(subject: Subject): Allocation {
  const inputs = new Inputs(5);
  const rows = Array.from({ length: 1024 }, () =>
    Float64Array.from({ length: subject.dimensions }, () => inputs.real()),
  );
  const { step } = subject.make();
  let i = 0;
  let answers = 0;
  const run = (calls: number) => {
    for (const end = i + calls; i < end; i++) if (step(rows[i & 1023] as Float64Array) !== undefined) answers++;
  };
  const collect = () => {
    (globalThis as unknown as { gc(): void }).gc();
    return process.memoryUsage().heapUsed;
  };
  run(3_000);
  const started = performance.now();
  run(1_000);
  const calls = Math.min(MOST_CALLS, Math.ceil((1_000 * MOST_MS) / (performance.now() - started)));
  const before = collect();
  run(calls);
  const grownBytes = collect() - before;

  post("HeapProfiler.startSampling", {
    samplingInterval: 1, // every allocation
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  run(WATCHED);
  const { profile } = post<{ profile: { samples: { size: number }[] } }>("HeapProfiler.stopSampling", {});
  const objects = profile.samples.filter(({ size }) => size > BOXED_NUMBER).length;
  if (answers === 0) throw new Error(`${subject.name} never answered`);
  return { name: subject.name, calls, grownBytes, objectsPerCall: objects / WATCHED };
}

console.log(JSON.stringify(SUBJECTS.map(measure)));

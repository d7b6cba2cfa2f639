import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  type Inference,
  type LogMessage,
  type Output,
  type OutputRecord,
  type Pipeline,
  type Program,
  packageRoot,
} from "../../src/core/index.js";

/** One message for a program, before it has a place in a log. */
export interface TestMessage {
  readonly subject: string;
  readonly data: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers 0 for every row; tests that care bring their own. */
export const zeroInference: Inference = { run: async (_model, rows, width) => new Float32Array(rows.length / width) };

export interface RunnerOptions {
  readonly pipeline: Pipeline;
  readonly partition?: number;
  readonly partitions?: number;
  readonly inference?: Inference;
}

export interface Runner {
  readonly outputs: readonly Output[];
  readonly program: Program;
  /** Applies the messages in order, in one slice. */
  send(...messages: readonly TestMessage[]): Promise<void>;
  /** Saves the state and goes on with a new program that loaded it. */
  restart(): void;
  /** Records of a stream, in order. */
  records(stream: string): readonly OutputRecord[];
}

/** A program with a log in memory: what the runtime does, without the writing. */
export function runProgram({
  pipeline,
  partition = 0,
  partitions = 1,
  inference = zeroInference,
}: RunnerOptions): Runner {
  const context = { task: `${pipeline.name}/${partition}`, partition, partitions, inference };
  let program = pipeline.create(context);
  let sequence = 0;
  const outputs: Output[] = [];
  const emit = (output: Output): void => void outputs.push(output);
  return {
    outputs,
    get program() {
      return program;
    },
    async send(...messages) {
      const slice = messages.map((message) => logMessage(message, ++sequence));
      const ahead = (await program.lookAhead?.(slice)) ?? [];
      slice.forEach((message, i) => {
        program.apply(message, ahead[i], emit);
      });
    },
    restart() {
      const state = program.save();
      program = pipeline.create(context);
      program.load(state);
    },
    records: (stream) =>
      outputs.filter((output) => output.stream === stream).map(({ record }) => record as OutputRecord),
  };
}

export function logMessage({ subject, data, headers = {} }: TestMessage, sequence: number): LogMessage {
  return {
    sequence,
    subject,
    data: typeof data === "string" ? Buffer.from(data) : data,
    header: (name) => headers[name],
  };
}

export function tick(stream: string, source: string, t: number, retire = false, partition = 0): TestMessage {
  return {
    subject: `${stream}.${partition}._tick.${source}`,
    data: JSON.stringify(retire ? { source, t, retire } : { source, t }),
  };
}

/** Lines of a gzipped NDJSON file of the bundled sample. */
export function sampleLines<T>(path: string): readonly T[] {
  const text = gunzipSync(readFileSync(join(packageRoot(), "samples", path))).toString("utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

/**
 * A record without what depends on the order of arrival (places in the log), as text: two runs over the same events must agree on
 * the set of these.
 */
export function withoutArrival(record: object): string {
  return JSON.stringify(record, (name, value) => (name === "evidence" || name === "origin" ? undefined : value));
}

import type { Inference, Log, LogMessage, Pipeline } from "../core/index.js";
import { encodeOutput, isMark } from "./outputs.js";

const SLICE_MESSAGES = 512;

export interface Difference {
  readonly stream: string;
  readonly id: string;
  /** Undefined: the log has an output that the program does not make. */
  readonly computed: string | undefined;
  /** Undefined: the program makes an output that the log does not have. */
  readonly stored: string | undefined;
}

export interface Verification {
  readonly messages: number;
  readonly outputs: number;
  readonly differences: readonly Difference[];
}

/**
 * Runs a program afresh over its whole input and compares every output with what the log holds, byte for byte.
 * Holds one line of text per output: for logs of millions of outputs verify a range at a time.
 */
export async function verifyTask(options: {
  pipeline: Pipeline;
  partition: number;
  partitions: number;
  log: Log;
  inference: Inference;
}): Promise<Verification> {
  const { pipeline, partition, log } = options;
  const source = await log.info(pipeline.source);
  const prefix = `${source.incarnation}/${pipeline.name}/${partition}/`;
  const computed = new Map<string, string>();
  const program = pipeline.create({ ...options, task: `${pipeline.name}/${partition}` });
  let reached = 0;
  let messages = 0;
  for await (const slice of everything(log, pipeline.source, `${pipeline.source}.${partition}.>`)) {
    const ahead = program.lookAhead ? await program.lookAhead(slice) : [];
    for (const [i, message] of slice.entries()) {
      let index = 0;
      program.apply(message, ahead[i], ({ stream, record }) => {
        const id = `${prefix}${message.sequence}/${++index}`;
        if (!isMark(record)) computed.set(`${stream} ${id}`, encodeOutput(record, id));
      });
      reached = message.sequence;
      messages++;
    }
  }
  const outputs = computed.size;
  const differences: Difference[] = [];
  for (const stream of pipeline.writes) {
    await compareStream({ log, stream, prefix, reached, computed, differences });
  }
  for (const [key, line] of computed) {
    const [stream = "", id = ""] = key.split(" ");
    differences.push({ stream, id, computed: line, stored: undefined });
  }
  return { messages, outputs, differences };
}

/** Takes what the stream confirms out of `computed`, and notes what differs. */
async function compareStream(options: {
  log: Log;
  stream: string;
  prefix: string;
  reached: number;
  computed: Map<string, string>;
  differences: Difference[];
}): Promise<void> {
  const { log, stream, prefix, reached, computed, differences } = options;
  for await (const slice of everything(log, stream, `${stream}.>`)) {
    for (const message of slice) {
      for (const line of Buffer.from(message.data).toString().split("\n")) {
        if (!line.startsWith(`{"id":"${prefix}`)) continue;
        const id = line.slice(7, line.indexOf('"', 7));
        if (Number(id.slice(prefix.length).split("/")[0]) > reached) continue;
        const ours = computed.get(`${stream} ${id}`);
        computed.delete(`${stream} ${id}`);
        if (ours !== line) differences.push({ stream, id, computed: ours, stored: line });
      }
    }
  }
}

/** Every message on `subject` that is stored at the time of asking, in slices. Markers are not outputs: readers skip them. */
async function* everything(log: Log, stream: string, subject: string): AsyncGenerator<readonly LogMessage[]> {
  let left = 0;
  for (const [name, count] of await log.countSubjects(stream, subject))
    if (!name.startsWith(`${stream}._at.`)) left += count;
  if (left === 0) return;
  const reader = await log.read({ stream, subjects: [subject], fromSequence: 1 });
  try {
    while (left > 0) {
      const slice = await reader.next(Math.min(left, SLICE_MESSAGES));
      yield slice;
      left -= slice.length;
    }
  } finally {
    await reader.close();
  }
}

import type { Inference, Log, LogMessage, Marker, Objects, Pipeline, Registers } from "../core/index.js";
import { encodeOutput, isMark } from "./outputs.js";
import { storedPartition } from "./partition.js";
import { type Border, readPointer } from "./pointer.js";

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
 * Runs a program afresh over its whole input and compares every output with what the log holds, byte for byte. Where another program
 * spoke before, it begins at the border: what lies before is not this program's, and is left out.
 * Holds one line of text per output: for logs of millions of outputs verify a range at a time.
 */
export async function verifyTask(options: {
  pipeline: Pipeline;
  partition: number;
  partitions: number;
  log: Log;
  objects: Objects;
  registers: Registers;
  inference: Inference;
}): Promise<Verification> {
  const { pipeline, partition, partitions, log } = options;
  const source = await log.info(pipeline.source);
  const task = `${pipeline.name}/${partition}`;
  const prefix = `${source.incarnation}/${task}/`;
  const computed = new Map<string, string>();
  const program = pipeline.create({ ...options, task });
  const { border, sequence, state } = await beginning(options, task, source.incarnation);
  if (state !== undefined) program.load(state);
  const isOurs = (stream: string, place: Marker) => border === undefined || isBeyond(border.at[stream], place);
  let reached = 0;
  let messages = 0;
  const input = { stream: pipeline.source, partition, partitions, fromSequence: sequence + 1 };
  for await (const slice of storedPartition(log, input)) {
    const ahead = program.lookAhead ? await program.lookAhead(slice) : [];
    for (const [i, message] of slice.entries()) {
      let index = 0;
      program.apply(message, ahead[i], ({ stream, record }) => {
        const id = `${prefix}${message.sequence}/${++index}`;
        const isWanted = !isMark(record) && isOurs(stream, { sequence: message.sequence, index });
        if (isWanted) computed.set(`${stream} ${id}`, encodeOutput(record, id));
      });
      reached = message.sequence;
      messages++;
    }
  }
  const outputs = computed.size;
  const differences: Difference[] = [];
  for (const stream of pipeline.writes) {
    await compareStream({ log, stream, prefix, reached, isOurs, computed, differences });
  }
  for (const [key, line] of computed) {
    const [stream = "", id = ""] = key.split(" ");
    differences.push({ stream, id, computed: line, stored: undefined });
  }
  return { messages, outputs, differences };
}

/** Where this program began to speak: at its border, from the snapshot it was given there, if that is still kept. */
async function beginning(
  { objects, registers }: { objects: Objects; registers: Registers },
  task: string,
  incarnation: string,
): Promise<{ border: Border | undefined; sequence: number; state: Uint8Array | undefined }> {
  const { pointer } = await readPointer(registers, task);
  const border = pointer?.borders.findLast((each) => each.incarnation === incarnation);
  const kept = border && pointer?.kept.find(({ sequence }) => sequence === border.from);
  const state = kept && (await objects.get(kept.object));
  return { border, sequence: state === undefined ? 0 : (border?.from ?? 0), state };
}

function isBeyond(marker: Marker | undefined, { sequence, index }: Marker): boolean {
  if (marker === undefined) return true;
  return sequence > marker.sequence || (sequence === marker.sequence && index > marker.index);
}

/** Takes what the stream confirms out of `computed`, and notes what differs. */
async function compareStream(options: {
  log: Log;
  stream: string;
  prefix: string;
  reached: number;
  isOurs: (stream: string, place: Marker) => boolean;
  computed: Map<string, string>;
  differences: Difference[];
}): Promise<void> {
  const { log, stream, prefix, reached, isOurs, computed, differences } = options;
  for await (const slice of everything(log, stream, `${stream}.>`)) {
    for (const message of slice) {
      for (const line of Buffer.from(message.data).toString().split("\n")) {
        if (!line.startsWith(`{"id":"${prefix}`)) continue;
        const id = line.slice(7, line.indexOf('"', 7));
        const [sequence = 0, index = 0] = id.slice(prefix.length).split("/").map(Number);
        if (sequence > reached || !isOurs(stream, { sequence, index })) continue;
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

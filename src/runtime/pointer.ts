import { createHash } from "node:crypto";
import { canonicalJson, type Marker, type Pipeline, type Registers } from "../core/index.js";

/** Raised when the pointer or the way state is stored changes. */
export const POINTER_FORMAT = 2;

const PREFIX = "snapshot/";

/** A snapshot that is kept. */
export interface Snapshot {
  /** State after this input message; every output up to it is in the log. */
  readonly sequence: number;
  readonly object: string;
  /** By the events; null before the first tick. */
  readonly watermarkMs: number | null;
  /** Wall time of the commit, ms. */
  readonly savedMs: number;
  /** Which program's state it is; see `programHash`. */
  readonly program: string;
}

/** From here on the outputs are those of another program. */
export interface Border {
  /** Of the input stream that the places count in. */
  readonly incarnation: string;
  readonly program: string;
  readonly version: number;
  /** The snapshot the program began with. */
  readonly from: number;
  /** By output stream: the last output of the program before. */
  readonly at: Readonly<Record<string, Marker>>;
}

/** What a task's register `snapshot/<task>` says: who owns it, and where to begin. Changed by compare-and-set only. */
export interface Pointer {
  readonly format: number;
  /** A smaller one is refused. */
  readonly epoch: number;
  /** Of the input stream. */
  readonly incarnation: string;
  /** The program that writes the outputs now. */
  readonly program: string;
  /** Oldest first; the last one is where a restart begins. */
  readonly kept: readonly Snapshot[];
  readonly borders: readonly Border[];
}

export interface StoredPointer {
  readonly pointer: Pointer | undefined;
  /** 0: there is none. */
  readonly revision: number;
}

/** Identity of a program's state: another name, version, step list (their configuration with it) or partition count is another one. */
export function programHash(pipeline: Pipeline, partitions: number): string {
  const identity = { name: pipeline.name, version: pipeline.version, steps: pipeline.steps, partitions };
  return createHash("sha256").update(canonicalJson(identity)).digest("hex").slice(0, 16);
}

export async function readPointer(registers: Registers, task: string): Promise<StoredPointer> {
  const stored = await registers.get(pointerKey(task));
  if (stored === undefined) return { pointer: undefined, revision: 0 };
  return { pointer: modern(JSON.parse(Buffer.from(stored.value).toString())), revision: stored.revision };
}

/** The pointers of all tasks that have ever run, by task. */
export async function pointersOf(
  registers: Registers,
): Promise<readonly { readonly task: string; readonly pointer: Pointer; readonly revision: number }[]> {
  const found = await registers.list(PREFIX);
  return found.map(({ key, value, revision }) => {
    return { task: key.slice(PREFIX.length), pointer: modern(JSON.parse(Buffer.from(value).toString())), revision };
  });
}

/** Resolves with the new revision, undefined when somebody else changed it. */
export function writePointer(
  registers: Registers,
  task: string,
  pointer: Pointer,
  revision: number,
): Promise<number | undefined> {
  return registers.set(pointerKey(task), Buffer.from(canonicalJson(pointer)), revision);
}

/**
 * Makes a task begin again elsewhere at its next start: `kept` chooses among its snapshots (none of them: from the log's beginning).
 * Outputs that are in the log already are not written again. Call while nobody owns the task; resolves with false if somebody
 * changed the pointer meanwhile.
 */
export async function resetPointer(
  registers: Registers,
  task: string,
  to: { readonly incarnation: string; readonly keep: (snapshot: Snapshot) => boolean },
): Promise<boolean> {
  const { pointer, revision } = await readPointer(registers, task);
  if (pointer === undefined) return true;
  const { incarnation, keep } = to;
  const kept = pointer.incarnation === incarnation ? pointer.kept.filter(keep) : [];
  return (await writePointer(registers, task, { ...pointer, incarnation, kept }, revision)) !== undefined;
}

function pointerKey(task: string): string {
  return PREFIX + task;
}

interface PointerFormat1 {
  readonly format: 1;
  readonly sequence: number;
  readonly object: string;
  readonly incarnation: string;
  readonly program: string;
}

/** The first format had one snapshot, and epochs of leases that are gone. */
function modern(read: Pointer | PointerFormat1): Pointer {
  if (!("object" in read)) return read;
  const { sequence, object, incarnation, program } = read;
  const kept = object === "" ? [] : [{ sequence, object, watermarkMs: null, savedMs: 0, program }];
  return { format: POINTER_FORMAT, epoch: 0, incarnation, program, kept, borders: [] };
}

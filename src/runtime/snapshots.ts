import { createHash } from "node:crypto";
import { canonicalJson, MillraceError, type Objects, type Pipeline, type Registers } from "../core/index.js";

const FORMAT = 1;

interface Pointer {
  readonly format: number;
  readonly epoch: number;
  readonly sequence: number;
  /** Empty before the first snapshot. */
  readonly object: string;
  readonly incarnation: string;
  readonly program: string;
}

export interface Restored {
  readonly sequence: number;
  /** Undefined: nothing saved yet, start at the log's beginning. */
  readonly state: Uint8Array | undefined;
}

/** What a snapshot must agree with to be loaded. */
export interface SnapshotIdentity {
  readonly task: string;
  readonly incarnation: string;
  readonly program: string;
}

/** Identity of a program's state: another name, version, step list or partition count is another program. */
export function programHash(pipeline: Pipeline, partitions: number): string {
  const identity = { name: pipeline.name, version: pipeline.version, steps: pipeline.steps, partitions };
  return createHash("sha256").update(canonicalJson(identity)).digest("hex").slice(0, 16);
}

/**
 * A task's snapshots: immutable objects named by position, and one pointer {epoch, sequence, object} changed by compare-and-set.
 * Taking over writes the new epoch first, so a former owner's commit is refused from then on.
 */
export class Snapshots {
  readonly #objects: Objects;
  readonly #registers: Registers;
  readonly #identity: SnapshotIdentity;
  readonly #epoch: number;
  #revision = 0;

  private constructor(objects: Objects, registers: Registers, identity: SnapshotIdentity, epoch: number) {
    this.#objects = objects;
    this.#registers = registers;
    this.#identity = identity;
    this.#epoch = epoch;
  }

  /** Rejects with MR_FENCED when a newer epoch owns the task, MR_STATE_INCOMPATIBLE or MR_LOG_LOST_DATA when the pointer is foreign. */
  static async takeOver(
    stores: { objects: Objects; registers: Registers },
    identity: SnapshotIdentity,
    epoch: number,
  ): Promise<{ snapshots: Snapshots; restored: Restored }> {
    const snapshots = new Snapshots(stores.objects, stores.registers, identity, epoch);
    const stored = await stores.registers.get(pointerKey(identity.task));
    const pointer = stored && (JSON.parse(Buffer.from(stored.value).toString()) as Pointer);
    if (pointer) checkPointer(pointer, identity, epoch);
    const state = pointer?.object ? await stores.objects.get(pointer.object) : undefined;
    if (pointer?.object && !state) {
      throw new MillraceError(
        "MR_STATE_INCOMPATIBLE",
        `loading ${identity.task}: snapshot ${pointer.object} is missing from the object store`,
      );
    }
    snapshots.#revision = stored?.revision ?? 0;
    const restored = { sequence: state ? (pointer?.sequence ?? 0) : 0, state };
    await snapshots.#point(restored.sequence, state ? (pointer?.object ?? "") : "");
    return { snapshots, restored };
  }

  /** Call only when every output up to `sequence` is in the log. Rejects with MR_FENCED. */
  async commit(sequence: number, state: Uint8Array): Promise<void> {
    const object = `${this.#identity.task}/${sequence}-${this.#epoch}`;
    await this.#objects.put(object, state);
    await this.#point(sequence, object);
  }

  async #point(sequence: number, object: string): Promise<void> {
    const { incarnation, program, task } = this.#identity;
    const pointer: Pointer = { format: FORMAT, epoch: this.#epoch, sequence, object, incarnation, program };
    const value = Buffer.from(canonicalJson(pointer));
    const revision = await this.#registers.set(pointerKey(task), value, this.#revision);
    if (revision === undefined)
      throw new MillraceError("MR_FENCED", `committing ${task} at ${sequence}: a newer owner moved its pointer`);
    this.#revision = revision;
  }
}

function pointerKey(task: string): string {
  return `snapshot/${task}`;
}

function checkPointer(pointer: Pointer, identity: SnapshotIdentity, epoch: number): void {
  const { task } = identity;
  if (pointer.format > FORMAT) {
    const message = `loading ${task}: snapshot from a newer program (format ${pointer.format}, this one reads ${FORMAT})`;
    throw new MillraceError("MR_STATE_INCOMPATIBLE", message);
  }
  if (pointer.epoch > epoch)
    throw new MillraceError("MR_FENCED", `loading ${task}: epoch ${pointer.epoch} owns it, ours is ${epoch}`);
  if (pointer.incarnation !== identity.incarnation) {
    const message = `loading ${task}: its snapshot belongs to another log (${pointer.incarnation}, this one is ${identity.incarnation}): the stream was recreated`;
    throw new MillraceError("MR_LOG_LOST_DATA", message);
  }
  if (pointer.program !== identity.program) {
    const message = `loading ${task}: its snapshot was written by another version of the pipeline (${pointer.program}, this one is ${identity.program})`;
    throw new MillraceError("MR_STATE_INCOMPATIBLE", message);
  }
}

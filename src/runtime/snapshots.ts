import { DAY_MS, isMillraceError, type Marker, MillraceError, type Objects, type Registers } from "../core/index.js";
import { type Border, POINTER_FORMAT, type Pointer, readPointer, type Snapshot, writePointer } from "./pointer.js";

/** Where a restart begins is the newest; the others are for those that turn out to be damaged. */
const KEEP_NEWEST = 3;
/** The first of each day is kept so long: back-tests start there. */
const KEEP_DAYS = 35;
/** A program changes seldom; older borders only say which rows of long ago came from which program. */
const KEEP_BORDERS = 16;
/** Races with a former owner's commit that is still on its way, or with an answer of ours that was lost. */
const TRIES = 50;

/** What a task must agree with its pointer about. */
export interface SnapshotIdentity {
  readonly task: string;
  readonly incarnation: string;
  readonly program: string;
  /** Incarnations of former layouts: a pointer of one is of no use, and no sign of a loss. */
  readonly former?: readonly string[];
}

interface Stores {
  readonly objects: Objects;
  readonly registers: Registers;
}

/** A snapshot as loaded. */
export interface Restored {
  readonly sequence: number;
  /** Undefined: nothing saved yet, start at the log's beginning. */
  readonly state: Uint8Array | undefined;
  /** True: the outputs so far are another program's. */
  readonly isNewProgram: boolean;
}

/**
 * A task's snapshots: immutable objects named by position, and one pointer changed by compare-and-set. Taking over writes the new
 * epoch first, so a former owner's commit is refused from then on.
 *
 * Errors: MR_FENCED from every call when a larger epoch owns the task.
 */
export class Snapshots {
  readonly #stores: Stores;
  readonly #identity: SnapshotIdentity;
  #pointer: Pointer;
  #revision: number;

  private constructor(stores: Stores, identity: SnapshotIdentity, pointer: Pointer, revision: number) {
    this.#stores = stores;
    this.#identity = identity;
    this.#pointer = pointer;
    this.#revision = revision;
  }

  /** Errors: MR_FENCED; MR_STATE_INCOMPATIBLE for a newer format; MR_LOG_LOST_DATA when the input stream is another one now. */
  static async takeOver(stores: Stores, identity: SnapshotIdentity, epoch: number): Promise<Snapshots> {
    const { task, incarnation, program } = identity;
    for (let tries = 1; ; tries++) {
      const { pointer: stored, revision } = await readPointer(stores.registers, task);
      const isFormer = identity.former?.includes(stored?.incarnation ?? "");
      const found = isFormer && stored ? { ...stored, incarnation, kept: [], borders: [] } : stored;
      if (found !== undefined) checkPointer(found, identity, epoch);
      const fresh: Pointer = { format: POINTER_FORMAT, epoch, incarnation, program, kept: [], borders: [] };
      const pointer = { ...fresh, ...found, format: POINTER_FORMAT, epoch };
      const taken = await writePointer(stores.registers, task, pointer, revision);
      if (taken !== undefined) return new Snapshots(stores, identity, pointer, taken);
      if (tries >= TRIES) throw fenced(task, `its pointer changed ${TRIES} times while we took it over`);
    }
  }

  /** The newest snapshot that is whole. Errors: MR_STATE_INCOMPATIBLE when there were some and none is. */
  async restore(): Promise<Restored> {
    const { kept, program } = this.#pointer;
    const isNewProgram = program !== this.#identity.program;
    if (kept.length === 0) return { sequence: 0, state: undefined, isNewProgram };
    for (const { sequence, object } of [...kept].reverse()) {
      const state = await this.#whole(object);
      if (state !== undefined) return { sequence, state, isNewProgram };
    }
    throw new MillraceError(
      "MR_STATE_INCOMPATIBLE",
      `loading ${this.#identity.task}: none of its ${kept.length} snapshots is in the object store; "millrace reset" begins at the log's start`,
    );
  }

  /** Undefined when it is gone or damaged. */
  async #whole(object: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#stores.objects.get(object);
    } catch (error) {
      if (isMillraceError(error, "MR_LOG_LOST_DATA")) return undefined;
      throw error;
    }
  }

  /** Notes that from `at` on the outputs are ours. Call before the first of them. */
  async recordBorder(version: number, from: number, at: Readonly<Record<string, Marker>>): Promise<void> {
    const { program, incarnation } = this.#identity;
    const border: Border = { incarnation, program, version, from, at };
    await this.#point({ ...this.#pointer, program, borders: [...this.#pointer.borders, border].slice(-KEEP_BORDERS) });
  }

  /** Stores a snapshot's bytes. Nobody sees them before `commit`. */
  async store(sequence: number, parts: readonly Uint8Array[]): Promise<string> {
    const object = `${this.#identity.task}/${sequence}-${this.#pointer.epoch}`;
    await this.#stores.objects.put(object, parts);
    return object;
  }

  /**
   * Makes a stored snapshot the one that a restart begins with, and removes those no longer kept. Call only when every output up to
   * `sequence` is in the log.
   */
  async commit(snapshot: Omit<Snapshot, "program">): Promise<void> {
    const before = this.#pointer.kept.filter(({ object }) => object !== snapshot.object);
    const kept = toKeep([...before, { ...snapshot, program: this.#identity.program }]);
    await this.#point({ ...this.#pointer, kept });
    const names = new Set(kept.map(({ object }) => object));
    await this.#remove(before.map(({ object }) => object).filter((object) => !names.has(object)));
  }

  /** Frees what former owners stored and did not commit. `checkSource` throws when the input stream is not that of the identity any more. */
  async removeOrphans(checkSource: () => Promise<void>): Promise<void> {
    const { objects } = this.#stores;
    const names = new Set(this.#pointer.kept.map(({ object }) => object));
    const epochOf = (name: string) => Number(name.slice(name.lastIndexOf("-") + 1));
    const stored = await unlessAway(objects.list(`${this.#identity.task}/`));
    const orphans = (stored ?? []).filter((name) => !names.has(name) && epochOf(name) < this.#pointer.epoch);
    if (orphans.length > 0) await checkSource(); // after the look: a new log's snapshots cannot have been among them
    await this.#remove(orphans);
  }

  /** What is not removed now is an orphan for the next owner. */
  async #remove(names: readonly string[]): Promise<void> {
    for (const name of names) await unlessAway(this.#stores.objects.remove(name));
  }

  async #point(pointer: Pointer): Promise<void> {
    const { task } = this.#identity;
    const { registers } = this.#stores;
    for (let tries = 1; ; tries++) {
      const revision = await writePointer(registers, task, pointer, this.#revision);
      if (revision !== undefined) {
        this.#revision = revision;
        this.#pointer = pointer;
        return;
      }
      // Either somebody took over, or a write of ours arrived whose answer did not.
      const found = await readPointer(registers, task);
      if (found.pointer?.epoch !== pointer.epoch || tries >= TRIES)
        throw fenced(task, "a newer owner moved its pointer");
      this.#revision = found.revision;
    }
  }
}

/** The newest three, and the first of each day. */
export function toKeep(snapshots: readonly Snapshot[]): readonly Snapshot[] {
  const days = new Set<number>();
  const newestMs = snapshots.at(-1)?.savedMs ?? 0;
  return snapshots.filter(({ savedMs }, i) => {
    const day = Math.floor(savedMs / DAY_MS);
    const isFirstOfDay = !days.has(day);
    days.add(day);
    return i >= snapshots.length - KEEP_NEWEST || (isFirstOfDay && newestMs - savedMs < KEEP_DAYS * DAY_MS);
  });
}

async function unlessAway<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMillraceError(error) && error.disposition === "retry") return undefined;
    throw error;
  }
}

function fenced(task: string, why: string): MillraceError {
  return new MillraceError("MR_FENCED", `${task}: ${why}`);
}

function checkPointer(pointer: Pointer, { task, incarnation }: SnapshotIdentity, epoch: number): void {
  if (pointer.format > POINTER_FORMAT) {
    const message = `snapshot from a newer program: ${task} was saved in format ${pointer.format}, this program reads ${POINTER_FORMAT}: start the newer one`;
    throw new MillraceError("MR_STATE_INCOMPATIBLE", message);
  }
  if (pointer.epoch > epoch) throw fenced(task, `epoch ${pointer.epoch} owns it, ours is ${epoch}`);
  if (pointer.incarnation !== incarnation) {
    const message = `broker lost acknowledged data: the stream ${task} reads was recreated (it was ${pointer.incarnation}, now it is ${incarnation}): restore it, or accept the loss with "millrace reset"`;
    throw new MillraceError("MR_LOG_LOST_DATA", message);
  }
}

import { Command } from "commander";
import { MillraceError, type Objects, type Registers } from "../core/index.js";
import { readPointer, type Snapshot, writePointer } from "../runtime/index.js";
import { type KnownTask, tasksOf } from "./known-tasks.js";
import { type LogFlags, withLog } from "./with-log.js";

interface Stores {
  readonly registers: Registers;
  readonly objects: Objects;
}

/** What a savepoint keeps of each task. */
type Kept = Readonly<Record<string, { readonly incarnation: string; readonly snapshot: Snapshot }>>;

export function savepointCommand(): Command {
  return new Command("savepoint")
    .description('keep the newest snapshots of a pipeline under a name, for "millrace reset --to savepoint:NAME"')
    .argument("<pipeline>", "such as mine.telemetry")
    .argument("<name>", "letters, digits, - and _")
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText(
      "after",
      "\nDrain or pause the pipeline first to keep its very last state.\n\nExample:\n  millrace savepoint mine.telemetry before-v2",
    )
    .action((pipeline: string, name: string, flags: LogFlags) =>
      withLog(flags, async (stores) => {
        const tasks = await tasksOf(stores.registers, pipeline);
        const positions = await makeSavepoint(stores, pipeline, tasks, name);
        return `savepoint ${name} of ${pipeline}: ${positions.join(", ")}`;
      }),
    );
}

/** Copies each task's newest snapshot; resolves with `task at position`. Errors: MR_OPTION_INVALID, MR_LOG_FULL, MR_LOG_UNAVAILABLE. */
export async function makeSavepoint(
  { registers, objects }: Stores,
  pipeline: string,
  tasks: readonly KnownTask[],
  name: string,
): Promise<readonly string[]> {
  if (!/^[\w-]{1,64}$/.test(name))
    throw new MillraceError("MR_OPTION_INVALID", `savepoint ${JSON.stringify(name)}: use letters, digits, - and _`);
  const kept: Record<string, Kept[string]> = {};
  for (const { name: task } of tasks) {
    const { pointer } = await readPointer(registers, task);
    const newest = pointer?.kept.at(-1);
    const state = newest && (await objects.get(newest.object));
    if (pointer === undefined || newest === undefined || state === undefined)
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `${task} has no snapshot yet: pause ${pipeline} first, which makes one`,
      );
    const object = `savepoint/${name}/${task}`;
    await objects.put(object, state);
    kept[task] = { incarnation: pointer.incarnation, snapshot: { ...newest, object } };
  }
  const key = keyOf(pipeline, name);
  const revision = (await registers.get(key))?.revision ?? 0;
  await registers.set(key, Buffer.from(JSON.stringify(kept)), revision);
  return tasks.map(({ name: task }) => `${task} at ${kept[task]?.snapshot.sequence}`);
}

/** Makes every task begin at the savepoint. Call while none runs. Errors: MR_OPTION_INVALID, MR_LOG_UNAVAILABLE. */
export async function resetToSavepoint(
  { registers }: Pick<Stores, "registers">,
  pipeline: string,
  tasks: readonly KnownTask[],
  name: string,
): Promise<void> {
  const stored = await registers.get(keyOf(pipeline, name));
  if (stored === undefined) {
    const names = (await registers.list(`savepoint/${pipeline}/`)).map(({ key }) => key.split("/").at(-1)).join(", ");
    throw new MillraceError("MR_OPTION_INVALID", `${pipeline} has no savepoint ${name}; there are: ${names || "none"}`);
  }
  const kept = JSON.parse(Buffer.from(stored.value).toString()) as Kept;
  for (const { name: task } of tasks) {
    const { pointer, revision } = await readPointer(registers, task);
    const found = kept[task];
    if (pointer === undefined || found === undefined || found.incarnation !== pointer.incarnation)
      throw new MillraceError("MR_OPTION_INVALID", `savepoint ${name} has no state of ${task} on this log`);
    if ((await writePointer(registers, task, { ...pointer, kept: [found.snapshot] }, revision)) === undefined)
      throw new MillraceError("MR_LOG_UNAVAILABLE", `resetting ${task}: somebody else changed it; try again`);
  }
}

function keyOf(pipeline: string, name: string): string {
  return `savepoint/${pipeline}/${name}`;
}

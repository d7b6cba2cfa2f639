import { Command } from "commander";
import { formatTime, type Held, MillraceError, type Pipeline, type Program } from "../core/index.js";
import { readPointer } from "../runtime/index.js";
import type { Connection } from "../streams/index.js";
import { loadConfig } from "./config.js";
import { tasksOf } from "./known-tasks.js";
import { withStoredLog } from "./stored-log.js";
import { formatTable } from "./table.js";
import { loadPipelines, pipelineNamed } from "./up/topologies.js";
import type { LogFlags } from "./with-log.js";

/** Models and long states are cut in the table; --json has all of them. */
const SHOWN_CHARACTERS = 100;
const SUGGESTIONS = 5;
const SUGGESTIONS_READ = 100_000;

export function stateCommand(): Command {
  const get = new Command("get")
    .description("what the newest snapshots of a pipeline hold for a key, by operator and window")
    .argument("<pipeline>", "such as mine.telemetry")
    .argument("<key>", "as the pipeline files it, such as a site, a truck, a repository")
    .option("--topologies <path>", "module of the pipelines, when they are not the built-in ones")
    .option("--data-dir <path>", "data directory of the instance, running or stopped")
    .option("--nats-url <url>", "log of the instance")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
It reads snapshots, which trail the tasks by some seconds; it writes nothing. Of a stopped instance it starts the log's server for as
long as it reads.

Examples:
  millrace state get mine.telemetry minez/truck-07
  millrace state get parallel-org.activity acme/api --json`,
    )
    .action(async (name: string, key: string, flags: LogFlags & { json?: boolean; topologies?: string }) => {
      const { json, ...where } = flags;
      const pipeline = pipelineNamed(await loadPipelines(loadConfig({ ...where }).topologies), name);
      await withStoredLog(where, async (connection) => {
        const found = await stateOf(connection, pipeline, key);
        return json ? JSON.stringify(found, plainNumbers) : plain(found);
      });
    });
  return new Command("state").description("look into the state of a pipeline").addCommand(get);
}

/** What one task's newest snapshot holds for a key. */
export interface TaskState {
  readonly task: string;
  /** Input position of the snapshot. */
  readonly position: number;
  readonly watermark: string | null;
  /** Wall time of the snapshot. */
  readonly saved: string;
  readonly held: readonly Held[];
}

/**
 * Loads the newest snapshot of each task into a program that never runs, and asks it. Resolves with the tasks that hold something.
 * Errors: MR_OPTION_INVALID (it has not run here, has no snapshot yet, or no task holds the key), MR_STATE_INCOMPATIBLE,
 * MR_LOG_UNAVAILABLE.
 */
export async function stateOf(
  { registers, objects }: Pick<Connection, "registers" | "objects">,
  pipeline: Pipeline,
  key: string,
): Promise<readonly TaskState[]> {
  const tasks = await tasksOf(registers, pipeline.name);
  const found: TaskState[] = [];
  const positions: string[] = [];
  const others = new Set<string>();
  for (const { name: task, partition } of tasks) {
    const { pointer } = await readPointer(registers, task);
    const newest = pointer?.kept.at(-1);
    const state = newest && (await objects.get(newest.object));
    if (newest === undefined || state === undefined) continue;
    positions.push(`${task} at ${newest.sequence}`);
    const program = pipeline.create({ task, partition, partitions: tasks.length, inference: NOT_ASKED });
    program.load(state);
    const held = heldOf(program, key);
    if (held.length === 0) for (const like of keysLike(program, key)) others.add(like);
    const watermark = timeOf(newest.watermarkMs);
    const saved = formatTime(newest.savedMs);
    if (held.length > 0) found.push({ task, position: newest.sequence, watermark, saved, held });
  }
  if (positions.length === 0)
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `${pipeline.name} has no snapshot yet: the first is made some seconds after it has read something`,
    );
  if (found.length > 0) return found;
  const keys = [...others].sort().slice(0, SUGGESTIONS);
  const hint = keys.length === 0 ? "they hold no key at all" : `keys there are, for example, ${keys.join(", ")}`;
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `no operator of ${pipeline.name} holds ${JSON.stringify(key)} (${positions.join(", ")}); ${hint}`,
  );
}

/** Programs that only load state infer nothing. */
const NOT_ASKED = { run: async () => new Float32Array() };

/** Keys may be numbers or lists written as JSON; on the command line all are text. */
function heldOf(program: Program, key: string): readonly Held[] {
  const number = Number(key);
  const isNumber = key.trim() !== "" && Number.isFinite(number);
  const forms = [key, ...(isNumber ? [number] : []), ...(key.includes("/") ? [JSON.stringify(key.split("/"))] : [])];
  return forms.flatMap((form) => program.held?.(form) ?? []);
}

/** Keys that have the wanted text in them, else any. */
function keysLike(program: Program, wanted: string): readonly string[] {
  const like: string[] = [];
  const any: string[] = [];
  let read = 0;
  for (const key of program.heldKeys?.() ?? []) {
    const text = asTyped(String(key));
    if (text.toLowerCase().includes(wanted.toLowerCase())) like.push(text);
    else if (any.length < SUGGESTIONS && text !== "") any.push(text);
    if (like.length === SUGGESTIONS || ++read === SUGGESTIONS_READ) break;
  }
  return like.length > 0 ? like : any;
}

/** A list of plain words as people type it: `minez/truck-07`. */
function asTyped(key: string): string {
  return /^\["[^"/\\]+"(,"[^"/\\]+")+\]$/.test(key) ? (JSON.parse(key) as string[]).join("/") : key;
}

function plain(tasks: readonly TaskState[]): string {
  const parts = tasks.map(({ task, position, watermark, saved, held }) => {
    const rows = held.map(({ operator, startMs, endMs, value }) => [
      operator,
      startMs === undefined ? "" : `${timeOf(startMs)} to ${timeOf(endMs ?? startMs)}`,
      JSON.stringify(value, plainNumbers),
    ]);
    const table = formatTable(["operator", "window", "value"], rows, SHOWN_CHARACTERS);
    return `${task} at position ${position}, watermark ${watermark ?? "none yet"}, saved ${saved}\n\n${table}`;
  });
  return parts.join("\n\n");
}

function timeOf(ms: number | null): string | null {
  return ms === null || !Number.isFinite(ms) ? null : formatTime(ms);
}

/** JSON has neither infinities nor large integers, and lists of bytes or doubles would be objects. */
function plainNumbers(_name: string, value: unknown): unknown {
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))) return String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Uint8Array) : value;
}

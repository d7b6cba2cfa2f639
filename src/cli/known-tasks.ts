import { MillraceError, type Registers } from "../core/index.js";
import type { Connection } from "../streams/index.js";
import { listReaders } from "../workers/keeper/index.js";
import { type ClusterView, merge, type ProcessStatus } from "./up/cluster.js";

/** A task that has run on this log. */
export interface KnownTask {
  /** `<pipeline>/<partition>` */
  readonly name: string;
  readonly partition: number;
  /** The stream it reads. */
  readonly source: string;
}

/** Tasks that run, as their processes say. Errors: MR_LOG_UNAVAILABLE. */
export async function askCluster({ requests }: Connection): Promise<ClusterView> {
  return merge(await requests.askAll<ProcessStatus>("status"));
}

/** Every task of a pipeline that has run on this log. Errors: MR_OPTION_INVALID when there is no such pipeline. */
export async function tasksOf(registers: Registers, pipeline: string): Promise<readonly KnownTask[]> {
  const all = (await listReaders(registers)).filter(({ kind }) => kind === "task");
  const found = all.flatMap(({ stream: source, name }) => {
    const slash = name.lastIndexOf("/");
    return name.slice(0, slash) === pipeline ? [{ name, source, partition: Number(name.slice(slash + 1)) }] : [];
  });
  if (found.length > 0) return found.sort((a, b) => a.partition - b.partition);
  const known = [...new Set(all.map(({ name }) => name.slice(0, name.lastIndexOf("/"))))].sort();
  throw new MillraceError("MR_OPTION_INVALID", `no pipeline ${pipeline} has run here; known are ${known.join(", ")}`);
}

/** Errors: MR_OPTION_INVALID while a task of the pipeline runs. */
export async function checkRests(connection: Connection, pipeline: string): Promise<void> {
  const running = (await askCluster(connection)).tasks.filter((task) => task.pipeline === pipeline);
  if (running.length === 0) return;
  const who = [...new Set(running.map(({ owner }) => owner))].join(", ");
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `${pipeline} is running in ${who}: first "millrace pause ${pipeline}", and "millrace resume ${pipeline}" afterwards`,
  );
}

import { MillraceError, type Registers } from "../core/index.js";

const PREFIX = "wish/";
const TRIES = 20;

/** What `millrace pause`, `resume` and `drain` want of a pipeline; kept in the log, so it outlives every process. */
export type Wish = "run" | "rest";

/** Pipelines that are to rest. Errors: MR_LOG_UNAVAILABLE. */
export async function restingPipelines(registers: Registers): Promise<readonly string[]> {
  const wishes = await registers.list(PREFIX);
  return wishes
    .filter(({ value }) => Buffer.from(value).toString() === "rest")
    .map(({ key }) => key.slice(PREFIX.length));
}

/** Errors: MR_LOG_UNAVAILABLE. */
export async function wish(registers: Registers, pipeline: string, wanted: Wish): Promise<void> {
  const key = PREFIX + pipeline;
  for (let tries = 0; tries < TRIES; tries++) {
    const revision = (await registers.get(key))?.revision ?? 0;
    if ((await registers.set(key, Buffer.from(wanted), revision)) !== undefined) return;
  }
  throw new MillraceError("MR_LOG_UNAVAILABLE", `wishing that ${pipeline} ${wanted}s: others kept changing it`);
}
